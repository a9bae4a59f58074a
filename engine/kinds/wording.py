"""Words by which messages are recognised, in English and the commonest of a few other languages.

A pattern is written as phrases, one or several a line: a space stands for any white space, ``'`` for an
apostrophe or none, ``(a|b)`` for either. A phrase begins and ends at the edge of a word.
"""

from __future__ import annotations

import re


def phrases(text: str) -> str:
    """Pattern of phrases that are written one a line, or between bars; letters of both cases are equal."""
    lines = "|".join(line.strip() for line in text.strip().splitlines())
    grouped = re.sub(r"(?<!\\)\((?!\?)", "(?:", lines)
    spaced = grouped.replace(" ?", r"\s*").replace(" ", r"\s+").replace("'", "['’]?")
    return rf"(?i)(?<!\w)(?:{spaced})(?!\w)"


def words(text: str) -> str:
    """Group of words for a phrase, any of which may stand there."""
    return "(?:" + "|".join(text.split()) + ")"


# Words of German, French, Spanish and Italian that English lacks, and that ask there

WHY = words("warum wieso weshalb pourquoi perché почему")
_ASKED = words(
    "wer wen wem wessen wann wo woher? wofür wieviel welche[rsnm]? qui quand où combien"
    " (?:le|la)?quel(?:le)?s? qui[ée]n(?:es)? qué cu[áa]ndo d[óo]nde cu[áa]l(?:es)? cu[áa]nt[oa]s?"
    " chi quando dove qual[ei]? quant[oiae] quem onde кто что где когда как[а-я]+ сколько чей"
)
ASKED = phrases(rf"{_ASKED}|{WHY}|comment|cómo")
_SIZE = words("oft hoch alt groß lange? weit schnell schwer tief teuer spät")
WHICH = words("welche[rs]? l[ea]quel(?:le)? cu[áa]l quale")
CHOOSE = words("choose select pick wähle choisis elige scegli")
ASKED_FIRST = phrases(r"(\w{1,4} )?(wie|was|que|che|come|cosa|cos'è|qu'est-ce)")
"""Words that ask at the beginning of a sentence only."""
ABROAD = phrases(
    rf"""
    {_ASKED}|{WHY}|wie|comment|cómo|der|das|den|dem|des|eine?|ist|sind|hat|und|oder|nicht|mit|von|auf|zu|ich
    du|mir|kann|le|la|les|un|une|de|est|sont|et|que|pour|dans|sur|au|ce|ces|tu|il|el|los|las|una|es|del|en
    con|por|para|lo|gli|di|che|della?|nel|sono|com|come (si|posso)|\w*[äöüßñáàèéêìíóòúùçœ]\w*
    """
)
ENGLISH = phrases(
    "the|of|is|are|and|to|what|how|which|who|where|when|does|with|for|my|your|this|that|it|if|not|can"
)

# What stands before the question

COURTESY = phrases(
    rf"""
    (hi|hello|hey|ok|okay|so|well|and|just)( there| all| everyone)?[,.!:]*
    (hallo|guten \w+|bonjour|salut|hola|ciao)[,.!]*
    (please|pls|plz|kindly|quickly|maybe|bitte|por favor|per favore)[,:]*
    ((quick|simple|trivia|next|one more) )?(question|frage|q|problem|exercise|task|quiz)( ?\d{{1,3}})?[:.)]
    i (want|need) (you to|to know)|i wonder|do you (happen to )?know|any idea|help me( to)?
    (tell|remind) me(?= (who|what|when|where|which|how|if|whether|the))
    (weißt du|sag mir|sais-tu|dis(-| )moi|sabes|dime|sai|dimmi),?(?= (wie|que|che|{_ASKED}))
    (give me|i need)(?= the (exact |full )?(name|title|date|year|number|capital|answer|result|value)s?)
    (based on|according to|from|given|in) (the|this) (context|text|passage|article|document)[^,?\n]{{0,30}},
    read (this|the)( following)? \w+ and|(find|extract|identify)(?= the (name|title|date|author) )
    (what|who|where|when|which) do you think(?= (is|was|are))
    you are (an?|the|my|now) [^.\n]{{1,200}}[.\n]
    """
)
ASKS_YOU = phrases(
    "(can|could|would|will) (you|u)|(kannst|könntest) du( mir)?|(peux|pourrais)-tu( me)?|você pode"
    "|(me )?(puedes|podrías)|(mi )?(puoi|potresti)"
)
"""Stands before a request, which is recognised by what follows."""
NAME_OR_SAY = phrases("answer|name|say|check|give me the|tell me|sagen|dire|decir(me)?|dirmi")
_AND = words("and but or now then und aber et mais y pero e ed ma")
GOES_ON = phrases(
    rf"(({_AND},? )?(what about|how about|was ist mit)|{_AND}( now| then| if)?,?)(?! (you|thanks?)\b)"
)
"""Begins a follow-up that replaces a part of the question: "and of Brazil?"."""
OF_BEFORE = words(
    "that it this those them they left remain das es sie übrig ça cela reste-t-il eso esto quedan resta"
)
"""In a question about a quantity: one that was spoken of before."""

# Requests for a text

_TEXTS = words(
    "poems? haikus? limericks? stor(?:y|ies) songs? jokes? riddles? essays? letter e-?mails? paragraphs?"
    " articles? tips? ideas? titles? phrase reasons? names? recipes? functions? programs? scripts?"
    " class(?:es)? code query queries tables? lists? plans? summary examples? tweets? messages? report advice"
    " points questions website explanation description"
)
_MAKE = words("write provide give make create list draft build tell show need want plan design add")
TEXT_OPENING = phrases(
    rf"""
    explain|describe|summari[sz]e|translate|paraphrase|rewrite|rephrase|proofread|draft|compose|tl;?dr
    discuss|shorten|continue|teach|analy[sz]e|generate|improve|refactor|debug|implement|optimi[sz]e|review
    fix|recommend|suggest|compare|role-?play|act as|pretend|prove|show that|make (this|it)
    turn (this|these|the|my)|\#* ?task:?
    (i )?{_MAKE}( [\w\x27’+#.,-]+){{0,5}}? {_TEXTS}(?! of (two|three|\d))
    write (me )?(an?|some|about)(?! (equation|expression|fraction|number|inequality))
    tell (me|us) (about|an?|something|more|why|everything)
    (give|show|teach) (me|us)(?! (the|what))
    convert (\S+ ){{1,6}}?to (json|yaml|csv|markdown|html|python|sql)
    (erklär|übersetz|schreib|formulier|fass|beschreib|verfass|mach|verbesser)e?|(gib|erzähl|zeig)e? mir
    (expliqu|traduis|écri[st]|résum|rédige|décri[st]|raconte|corrige|convertis ce)\w*|(parle|donne)[- ]moi
    (explíca|tradu[cz]|escr[ie]b|resum|redact|arregla|corrige|cuénta|spiega|scrivi|riassum|rendi|racconta)\w*
    escreva|напиши|объясни|переведи|сделай
    (请|帮我)*(翻译|解释|写|介绍|总结|概括)\w*|\w*(教えて|書いて|翻訳して|説明して)\w*
    """
)

# Questions for yes or no

YES_OR_NO = phrases(
    r"""
    yes ?(or|/) ?no|no ?(or|/) ?yes|true ?(or|/) ?false|y/n|t/f|ja oder nein|oui ou non|s[íì] o no
    wahr oder falsch|vrai ou faux|verdadero o falso|vero o falso
    is (this|the)( following)? (statement|claim|sentence) (true|correct)
    """
)
POLAR = phrases(
    r"""
    is|are|am|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must|might|(can|won)'t
    (is|are|was|were|do|does|did|has|have|could|would|should)n't
    """
)
_BE = words(
    "ist sind war hat haben können kann wird darf muss gibt est sont a-t-(?:il|elle|on) peut faut es son era"
    " hay ha puede tiene è sono hanno può é são tem"
)
POLAR_ABROAD = phrases(
    r"""
    (ist|sind|hat|haben|gibt es|kann|können|wird|darf|muss|waren|wurden?)(?! (\w+ )?(du|sie))|est-ce|y a-t-il
    \w+ ли|(?!.*[何谁哪誰どいつ几])\w+(吗|ですか|ますか)|\w*(是不是|有没有|能不能|可不可以)\w*
    """
)
"""Beginnings of such a question elsewhere; others have its mark or are inverted, without a question word."""
INVERTED = phrases(r"\w+-(t-)?(ils?|elles?|on)")
GERMAN_WAS = phrases(
    "was (ist|sind|bedeutet|macht|war|koste[nt]|hat|kann|heißt|passiert|soll|ergibt|wird|wiegt|gibt|du|ich"
    "|man)"
)
NAMED_WILL = r"(?:Will|May|Mark|Bill|Art)\s+(?:was|can|has|had|is|will|makes?|wants?|earned|bought)\b"
"""A person whose name is a verb elsewhere."""

# Talk

TO_ASSISTANT = phrases(
    r"""
    (can|could) (you|u) (please|just|also|help|tell|repeat|be more|speak|clarify|talk)
    (can|could) (you|u) (see|hear|understand|read|do|get)( (me|this|that|it))?\W*$
    (will|would|won't|are|were|have|did) (you|u)(?! (expect|allowed|able))
    is it possible( for you)? to (get|give|have|make)|你(能|会|可以|好|是|叫)\w*|あなた\w*|こんにちは\w*
    do you(?! (have to|need|get|use|pay|call))|(should|may|shall) (i|we)|am i(?! (allowed|entitled))|do i look
    (can|could) (i|we) (ask|have|talk)|is it worth|is there (any|an?) (way|chance|trick)
    (can|could) (you|u) (do|make|put|say) (that|this|it)
    is (it|this|that|everything|anyone)( (ok|okay|you|good|there|correct|right|clear|possible))?\?*$
    können sie|\w+st du|\w+-(tu|vous)|ça va|t[ei] \w+
    ((me|mi|nos|ci) )?(puedes|podrías|puede usted|puoi|potresti)
    is there (anything|anyone|something|someone) (you|i)|have (fun|you)|(will|can) do
    (do|does) (it|that|this) (work|help|make sense)\W*$
    """
)
_DESCRIBED = words(
    "differences? meaning ways? new pros causes? benefits advantages disadvantages purpose point history plot"
    " weather books movies theory moral themes? role relationship ideas importance significance effects?"
    " impact symptoms reasons? concept definition"
)
_CONCEPTS = words("laws? theorem theory paradox principle syndrome disease effect problem algorithm")
_A_NAME = r"((?!(of|to|in|for|on)\b)[\w\x27’.-]+ ){1,4}"
_WE = "(i|we|you)(?! (find|get|have|need|expect|pay|add))"
_ONE_OF_MANY = r"(?:most|least|first|last|name|(?!best|latest)\w{2,}est)\b"
EXPLANATION = phrases(
    rf"""
    why|por qué|{WHY}|(为什么|怎么|如何|なぜ|どうやって)\w*
    how (do|does|did|can|could|should|would|to|is|are|was|were|about|come)(?! (you|i|we) (say|spell|call))
    .{{0,200}}, (how (do|can|should) i|what should i)
    wie(?! (viel|heißt|nennt|sagt|lautet|{_SIZE}))
    comment(?! (s'appel|dit|se nomme))|cómo(?! se (llama|dice))|come(?! si (chiama|dice))|como (faço|funciona)
    (cosa (fa|significa)|qué (hace|significa)|que fait|was (macht|bedeutet))
    what('s| is) (?![^?]*\b{_ONE_OF_MANY}){_A_NAME}{_CONCEPTS}\W*$|what does .{{1,60}} (do|mean)\W*$
    (what|which|where|when)( [\w\x27’]+){{0,5}} (should|can|could|would) {_WE}
    what (about|if (i|we)|happen\w*|makes?|causes?)|(what|when) to \w+
    what('s| is) (wrong|going|happening|up|new)
    was ist (der unterschied|los)|quelle est la différence|cuál es la diferencia
    """
)
_DEFINED = (
    "((prime|perfect|natural|(ir)?rational|real|complex|whole|fibonacci) numbers?|primes?|standard deviation"
    "|variance|derivatives?|integrals?|determinants?|polynomials?|(square|cube) roots?|logarithms?|integers?)"
)
DESCRIPTION = phrases(
    rf"""
    what (do|did) (you|i|we)(?! (call|get))|what('s| is| are) (an? )?{_DEFINED}( used for| good for)?\W*$
    [^?]{{1,150}} and (why|how (does|did) (it|this|that)|what (do|does|did|are) (it|they|their))
    [^?]{{1,150}} (und (wie|warum|was)|et (que|comment|pourquoi)|[ye] (qu[eé]|cómo|por qué|che|come|perché))
    what('s| is| are| was| were)( the| some| an?)?( best)? {_DESCRIBED}
    what('s| is| are| was| were) ([\w.]+ ){{0,3}}\w+[\x27’]s? {_DESCRIBED}
    """
)
"""Asks for a description, if no numbers are given."""
BETWEEN_NUMBERS = r"(?i)\bbetween\s+[$€£]?\d[\d.,/]*(?![\w-])"
"""A description in its words that may be computed: the difference between 15 and 8."""
ABOUT_US = phrases(
    r"(who|what|where|how|when|which)('s|'re| \w+)( \w+)? (you|your|u(?!\.)|ur|i|my)"
    r"(?! (say|spell|get|call|use|have to))|who am i"
)

# Dates and times

MONTH = words(
    "jan feb mar apr jun jul aug sept? oct nov dec january february march april may june july august"
    " september october november december januar februar märz mai juni juli oktober dezember janvier février"
    " mars avril juin juillet août septembre octobre novembre décembre enero febrero marzo abril mayo junio"
    " julio agosto septiembre octubre noviembre diciembre gennaio febbraio aprile maggio giugno luglio"
    " settembre ottobre dicembre"
)
_WEEKDAY = words(
    "(?:mon|tues|wednes|thurs|fri|satur|sun)day (?:mon|diens|donners|frei|sams|sonn)tag mittwoch"
    " (?:lun|mar|mercre|jeu|vendre|same)di dimanche lunes martes miércoles jueves viernes sábado domingo"
    " (?:lune|marte|mercole|giove|vener)dì sabato domenica"
)
_SPAN = words(
    "seconds? minutes? hours? days? weeks? months? years? minuten stunden tagen? wochen monaten? jahren?"
    " heures jours semaines mois ans minutos horas días semanas meses años minuti ore giorni settimane mesi"
    " anni"
)
DATE = phrases(
    rf"""
    \d\d?(st|nd|rd|th|er|[.°º])?( of| de| d')? {MONTH}|{MONTH}\.?( del?)? \d{{1,4}}
    \d{{4}}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{{4}}
    (is|was|were|ist|war|est|était|es|era|è|after|before|from)( an?| on)? {_WEEKDAY}(?! to| through)
    """
)
"""A day of a month, a month of a year, or a weekday from which another is counted."""
CLOCK = phrases(
    r"([01]?\d|2[0-3])(:| ?h ?)[0-5]\d|\d\d? ?[ap]\.?m|\d\d? (uhr|o'clock)"
    r"|noon|midnight|mitternacht|minuit|medianoche|mezzanotte"
)
ASKS_DAY = phrases(
    rf"""
    (which|what)( is| was| will be)?( the)?( first| last| latest| earliest)? (day|date)(?! did)
    weekday|day of the week
    welche[nrs]? (\w*tag|datum)|quel(le)? (jour|date)|qu[eé] (día|fecha)|(che|quale) (giorno|data)
    \d+ {_SPAN} (after|before|from)
    """
)
ASKS_WEEKDAY = phrases(
    r"""
    (what|which|on|the)( is| was)?( the)? (weekday|day of the week)|weekday (of|was|is)
    welche[mnrs]? wochentag
    (quel|qu[eé]|che|quale) (jour|d[íi]a|giorno) de(lla| la) (semaine|semana|settimana)
    """
)
ASKS_NO_WEEKDAY = phrases(
    r"(what|which)( is| was| will be)?( the)? (date|time)|datum|uhr|quelle (date|heure)|qu[eé] (fecha|hora)"
    r"|(che|quale) (data|ora)"
)
ASKS_TIME = phrases(
    r"""
    what( is the)? time|when (do|does|did|will|would|should|must|is|am|are)|wann|wie ?viel uhr|wie spät
    quelle heure|quand|qu[eé] hora|cu[aá]ndo|che ora|quando
    """
)
ASKS_HOW_LONG = phrases("how (long|old|much time)|wie (lange|alt)|quel âge|qu[eé] edad|durée")
ASKS_SPAN = phrases(
    rf"(how many|number of|wie ?viele?|combien (de|d')|cu[aá]nt[oa]s|quant[ei])( full| whole)? {_SPAN}"
    rf"|{_SPAN} (between|until|since|zwischen|entre|tra)"
)

# Quantities

_NUMBER_WORDS = words(
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty hundred"
    " thousand million dozen half third quarter twice double triple percent percentage"
)
MATHS_WORD = phrases(
    r"""
    sum|quotient|remainder|median|probability|factorial|next number|standard deviation|variance
    roman numerals?|perimeter|hypotenuse|vertex|triangles?|rectangles?|hexagons?|pentagons?|polygons?
    diagonals?|(square|cube) root|perfect (square|cube)s?|integers?|digits?|equations?|polynomials?
    primes?|divisors?|derivative|integral|determinant|logarithm|log base|in (decimal|binary|octal|hexadecimal)
    fibonacci|gcd|lcm|sqrt|hex|matrix|permutations?|combinations?|exponent|cosine
    (smallest|largest|greatest|least|positive|whole|natural|real|rational|even|odd)( \w+)? numbers?
    wurzel|racine|ra[íi]z|radice|ggt|kgv|pgcd|ppcm|mcd|mcm|ableitung|dérivée|derivad?a|wahrscheinlich\w+|probabili[td]\w+
    hexad[eé]\w+|bin(är|air|ari)\w*
    """
)
"""Says by itself that something is to be computed."""
MEASURED = phrases(
    r"""
    product|ratio|average|mean|percent|percentage|radius|circumference|area|volume|degrees?|angle|slope
    factors?
    decimal|fraction|binary|interest|speed|difference|total|price|cost|age|letters|length|width|height
    distance
    """
)
"""Says so beside numbers."""
MATHS_VERB = phrases(
    r"""
    solve|simplify|evaluate|compute|calculate|find|determine|factori[sz]e|factor|integrate|differentiate
    expand|round
    convert|express|sort|reverse|add|subtract|multiply|divide|estimate|count
    (square|cube|double|triple|halve|negate|say|echo|print) \d+
    berechne|rechne|löse|bestimme|vereinfache|calcul[ea]r?|résous|trouve|détermine|simplifi[ea]|expri?me
    resuelve|halla|encuentra|expresa|conviert\w+|calcola|risolvi|trova|determina|converti|вычисли|реши|计算\w*
    """
)
HOW_MUCH = phrases(
    rf"""
    how (many|much|long|far|fast|old|tall|often|heavy|big|large|high|deep)|number of
    wie ?viele?|wie {_SIZE}|combien|cu[áa]nt[oa]s?|quant[oiae]s?|сколько|hoeveel|ile
    \w*(多少|几|いくつ|いくら|何[人個年円歳日])\w*
    """
)
BELOW_ZERO = (
    r"(?i)[-−]\s?\d|[\\^=√∫]|\b(?:minus|negative|below|under|temperatures?|degrees?|debts?|ow(?:e[sd]?|ing)|overdr\w+"
    r"|chang(?:e[sd]?|ing)|loss(?:es)?|lose|difference|log|ln|sin|cos|tan)\b"
)
"""The answer of a question with such words may be negative, though it asks how much."""
_UNITS = words(
    "seconds minutes hours days weeks inches feet yards ounces cups grams kilograms milliliters"
    " centimeters meters sekunden minuten stunden tage heures minutes segundos minutos horas días"
)
COUNTED = phrases(
    rf"""
    how many( \w+){{0,3}} (ways|orders|arrangements|subsets|handshakes)|number of ways
    how many (letters|vowels|consonants|syllables|characters|words|\w's) (are|do|does|in)
    how (many times|often) (do|does) .{{1,40}}(appear|occur)
    (spell|write|say) .{{1,60}} (backwards?|in reverse)|reverse the (word|string|letters)
    how many {_UNITS} (are )?(there )?in|wie viele {_UNITS}
    combien .{{0,12}}de {_UNITS}|cu[áa]nt[oa]s {_UNITS}
    """
)
NUMBER = rf"(?i)\d|\b{_NUMBER_WORDS}\b"
NUMBER_IN_NAME = phrases(
    r"""
    (1[0-9]|20)\d\ds?|(season|episode|series|chapter) \d+( episode \d+)?
    (ww|world war|version|python|windows|formula|html|http|rfc|iso|gpt|apollo)[ -]?\d+(\.\d+)*
    """
)
"""Years and names, which give nothing to compute with."""
OPERATION = (
    rf"(?i)(?:\d|\b{_NUMBER_WORDS})\s*(?:[+*/^×÷·=√]|%\s|(?:times|plus|minus|divided\s+by|mal|por|fois|x)\s)"
    r"|\d\s+-\s+\d|\d-\d+\s*(?:$|[=?+*/])|\d\s(?:squared|cubed)"
    rf"|\b(?:half|double|twice)\s(?:of\s)?(?:\d|{_NUMBER_WORDS}\b)"
    r"|(?<!\d{4})(?<=\d)!(?=[\s+*/=?]|$)"
    r"|\b(?:log\d*|ln|exp|sqrt|sin|cos|tan|abs|gcd|lcm|mod|max|min)\s?\(|\w\^\w"
    r"|[√∫∑π∞≤≥]|\b[a-z]\s*[=^]\s*-?\d|\d[a-z]\s*[-+=]|\d(?:[,;\s]+\d+){3}"
)
"""An operator between numbers, an equation, or a sequence."""
FORMULA = r"\$(?=\S)[^$\n]{0,200}[^\s$]\$(?!\d)|\\(?:frac|sqrt|begin|left|cdot|int|sum|\[|\()"
"""LaTeX; two prices are none."""
CONVERSION = phrases(r"[\w.]*\d\S*( \w+){1,3} (in|to|into|as)( \w+){1,2}\W*")

# Facts

QUESTION_WORD = phrases(
    r"who|whom|whose|wh?ats?|waht|wh?en|where|wh?ich|how|why|(in|on|at|by|for) (what|which|how)"
)
_KNOWN = words(
    "capital name author symbol inventor birthplace founder opposite speed currency height population"
    " president plural ceo"
)
_SOMEBODY = "(you|i|we|it|he|she|they|this|that)"
_AT_LENGTH = "(mean|think|believe|feel|argue|want|change|decide|do (for(?! (a )?living)|about|with|when))"
_NO_NOUN = (
    "(is|are|was|were|if|about|else|now|do|does|did|can|could|would|will|should|has|have|had|may|might|must"
    "|to|exactly|even|actually|really)"
)
_SOMEBODYS = (
    rf"(?!({_NO_NOUN}|so|good|bad|great|special|wrong|about|with|in)\b)([\w.]+ ){{0,3}}\w+(s[\x27’]|[\x27’]s)"
)
_NAMED_AT_LENGTH = words("things factors steps challenges strategies skills lessons")
FACT = phrases(
    rf"""
    who|whom|whose|where|wh?en|wh?ich|(in|on|at|for|to|from|by) (what|which|whom|how (many|much))
    what(s| are| were) (the )?(\d|two|three|four|five|seven|names?|colou?rs|official|primary|\w+est)
    (wh?ats?|waht)('s| is| was)? (the|{_SOMEBODYS}|\w+est|most)
    (wh?at|waht) (?!({_NO_NOUN}(n[\x27’]?t)?|{_DESCRIBED}|{_NAMED_AT_LENGTH})\b)\w+
    what (is|was) [^?]{{1,40}} (made (of|from|out of)|named (after|for)|(famous|known) for\W*$)
    what (is|are|was|were) [^?]{{1,40}} (called|names?|colou?rs)\W*$
    what (is|was) (\w+ )?({_KNOWN}|languages?|religions?|(time|zip|area) ?(zone|code)) (in|of|for|on) \w+
    what (do|does) [^?]{{1,50}} stand for|what do (you|we) call
    what did (?!({_SOMEBODY}|people)\b|[^?]* {_AT_LENGTH}\b)\w+
    (the )?(?!what\b)\w+( \w+)? of [^?.!,]{{1,50}}\?|what('s| is) another
    what (do|does) (?!{_SOMEBODY}\b)[^?]{{1,40}} (call|speak|measure|eat|own|border)
    how (many|much|tall|far|long|old|often|deep|high|big|large|heavy|fast|hot|cold|close is)
    how do (you|i|we) (say|spell|call)
    (the )?\w{{3,}}est( \w+){{1,3}} (in|of|on)|(the )?\w{{3,}}est( \w+){{1,2}}\W*$
    (\w+ )?({_KNOWN}|atomic number|(boiling|melting|freezing) point) (of|for|in)
    (the )?(default port|chemical symbol|population)|name (the|an?|one|two|three|four)
    назови|[^。？]*(谁|誰|什么|哪|何|どこ|いつ|どの|どれ)\w*|\w+は|столица
    """
)
FACT_ABROAD = phrases(
    rf"""
    (\w{{1,4}} )?(?!qué){_ASKED}|wie|come si|cómo se|(in|a|di|con) che|comment (s'|se|dit)|c'est quoi l\w*
    (\w{{1,2}} )?(qu[eé]|che) (?!{_BE}|tal|cos\w|fai?t?|hac\w+)\w+|was ist d(ie|er|as)
    \w+ (de|di|du|d'|von|del|della|der) [^?.!,]{{1,50}}
    """
)
_NAMED = words(
    "years? countr(?:y|ies) cit(?:y|ies) states? continents? rivers? languages? names? teams? books? movies?"
    " films? songs? compan(?:y|ies) part(?:y|ies) presidents? artists? actors? players?"
)
FOR_PERSON_PLACE_TIME = phrases(
    rf"""
    who|whose|where|when (did|was|is|and where)|what( is|'s) the name of
    wh?ich(?!( one| number)? is (the )?\w+e(r|st)\W*$)
    what ({_NUMBER_WORDS} |\d+ )?([\w.]+ )?{_NAMED}
    wer|wann|wo|qui|quand|où|qui[ée]n|cu[áa]ndo|d[óo]nde|chi|quando|dove
    """
)

# Code

CODE = (
    r"(?m)^[ \t]*(?:```|def \w+\(|import [\w.]+$|from \w+ import|class \w+[:(]|\#include|function \w+\("
    r"|const \w+ =|let \w+ =|diff --git|@@ |Traceback|SELECT |<\?php|<html|<!DOCTYPE|package \w+|assert "
    r"|(?:for|while|if|elif|with) [^\n]{1,80}:$|\w+ \w+\([^)\n]{0,80}\) ?\{)|\b(?:print|console\.log)\("
)
CODE_RESULT = phrases("(what|which|predict|give) .{0,60}(outputs?|prints?|printed|returns?|evaluates?|value)")
