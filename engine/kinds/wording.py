"""Words by which messages are recognised, in English and the commonest of a few other languages.

A pattern is written as phrases, one or several a line: a space stands for any white space, ``'`` for an
apostrophe or none, ``(a|b)`` for either. A phrase begins and ends at the edge of a word.
"""

from __future__ import annotations

import re


def phrases(text: str) -> re.Pattern[str]:
    """Pattern of phrases that are written one a line, or between bars; letters of both cases are equal."""
    lines = "|".join(line.strip() for line in text.strip().splitlines())
    grouped = re.sub(r"(?<!\\)\((?!\?)", "(?:", lines)
    spaced = grouped.replace(" ?", r"\s*").replace(" ", r"\s+").replace("'", "['’]?")
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)", re.IGNORECASE)


def words(text: str) -> str:
    """Group of words for a phrase, any of which may stand there."""
    return "(?:" + "|".join(text.split()) + ")"


# What stands before the question

COURTESY = phrases(
    r"""
    (hi|hello|hey|hallo|bonjour|hola|ok|okay|so|well|and|just)( there| all| everyone)?[,.!:]*
    (please|pls|plz|kindly|quickly|maybe|bitte)[,:]*
    ((quick|simple|trivia|next|one more) )?(question|frage|q|problem|exercise|task|quiz)( ?\d{1,3})?[:.)]
    i (want|need) (you to|to know)|i wonder|do you (happen to )?know|any idea|help me( to)?
    (tell|remind) me(?= (who|what|when|where|which|how|if|whether|the))
    (what|who|where|when|which) do you think(?= (is|was|are))
    you are (an?|the|my|now) [^.\n]{1,200}[.\n]
    """
)
ASKS_YOU = phrases("(can|could|would|will) (you|u)|(kannst|könntest) du( mir)?")
"""Stands before a request, which is recognised by what follows."""
NAME_OR_SAY = phrases("answer|name|say|check|give me the|tell me")
AFTER_QUESTION = phrases(
    r"((your|the|final|short) )*(answer|antwort)\W*|(thanks|thank|thx|please|pls|cheers)[^?]{0,30}"
)

# Requests for a text

_TEXTS = words(
    "poems? haikus? limericks? stor(?:y|ies) songs? jokes? riddles? essays? letter e-?mails? paragraphs?"
    " articles? blogs? posts? tips? ideas? titles? headers? headlines? phrase reasons? names? recipes?"
    " speech(?:es)? functions? programs? scripts? class(?:es)? regex code query queries tables? lists?"
    " plans? summary examples? tweets? messages? dialogue reviews? report docs? docstrings? tests advice"
    " overview introduction bio caption one-?liners? template component app website page api endpoint"
    " dockerfile config explanation description itinerary workout password quiz quotes? tags? comments?"
    " types? reply"
)
_MAKE = words(
    "write provide propose prepare draft produce give make create tell build code show need want plan"
    " design add list turn"
)
_SHORT_TEXTS = words(
    "poem haiku limerick joke story song essay recipe script ideas? tips? names? reasons? ways"
)
TEXT_OPENING = phrases(
    rf"""
    \#* ?task:?
    explain|describe|summari[sz]e|translate|paraphrase|rewrite|rephrase|reword|proofread|draft|compose|tl;?dr
    eli5
    brainstorm|outline|discuss|elaborate|condense|shorten|critique|continue|teach|analy[sz]e|generate|improve
    polish
    refactor|debug|implement|optimi[sz]e|review|fix|recommend|suggest|compare|comment on|role-?play|act as
    pretend
    (i )?{_MAKE}( [\w\x27’+#.,-]+){{0,5}}? {_TEXTS}(?! of (two|three|\d))
    write (me )?(an?|some|about)(?! (equation|expression|fraction|number|inequality))
    plan an?|imagine you|let's(?! (say|assume|define|call))
    tell (me|us) (about|an?|something|more|why|everything)
    (give|show|teach) (me|us)(?! (the|what))
    (an? )?(commit message|title|summary) (for|of)
    extract (all )?(the )?(names|dates|key|e-?mails|entities|action)
    list (\d+|some|the steps|ten|five)
    convert (\S+ ){{1,6}}?to (json|yaml|csv|markdown|html|python|sql)|use the following (context|pieces)
    erkläre?|übersetze?|schreibe?|formuliere?|fass?se?|beschreibe?|verfasse?
    expliqu\w+|traduis\w*|écri[st]\w*|résum\w+|rédige\w*|décri[st]\w*
    explica\w*|traduce\w*|escrib\w+|resum\w+|haz|redacta\w*|spiega\w*|traduci\w*|scrivi\w*|riassum\w*
    напиши|объясни|переведи|翻译\w*|解释\w*|写\w*
    """
)
TEXT_FRAGMENT = phrases(
    rf"""
    (an? )?(\w+ )?{_SHORT_TEXTS} (about|for|on|to|that)
    \d+ (\w+ )?{_SHORT_TEXTS} (about|for|on|to|of)
    pros and cons
    """
)
"""A text that is named without a verb; a recipe for eight may begin a sum too."""
TEXT_CLOSING = phrases(
    r"""
    summari[sz]e|translate|rewrite|rephrase|paraphrase|proofread|tl;?dr|refactor|improve|fix|résume\w*|fasse?
    resume
    turn (this|these|the)|make (this|it)|add (an? )?(docstring|tests?|comments?|type)
    (write|draft|give|create) (me )?an? ([\w-]+ ){0,3}?(summary|e-?mail|reply|title|tweet|message|review)
    """
)
CODE_WANTED = phrases(r"write an? (\w+ ){0,2}?(function|program|script|method|class|query)")

# Questions for yes or no

YES_OR_NO = phrases(
    r"""
    yes ?(or|/) ?no|no ?(or|/) ?yes|true ?(or|/) ?false|y/n|t/f|ja oder nein|oui ou non|sí o no
    is (this|the)( following)? (statement|claim|sentence) (true|correct)
    """
)
POLAR = phrases(
    r"""
    is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must|might
    isn't|aren't|wasn't|weren't|don't|doesn't|didn't|hasn't|haven't|can't|couldn't|won't|wouldn't|shouldn't
    """
)
POLAR_ABROAD = phrases(
    r"""
    ist|sind|hat|haben|gibt es|können|war|est-ce|est-il|es|está|hay|son|è|sono|y a-t-il
    (?!combien|quand|où|qu)([\w\x27’]+ ){1,4}\w+-t-(il|elle|on|ils|elles)
    """
)
"""Verbs that begin such a question elsewhere, if it has a question mark."""
NOT_POLAR = phrases(
    r"""
    (do|have) (my|it|this|that|your|the|an?|not|some|fun|\d+)|(may|might|must|will|can) (do|not|be)
    don't
    """
)
"""Beginnings of orders, in sentences without a question mark."""
GERMAN_WAS = phrases(
    "was (ist|sind|bedeutet|macht|war|kostet|hat|kann|heißt|passiert|soll|ergibt|wird|wiegt|gibt|du|ich|man)"
)
NAMED_WILL = re.compile(
    r"(?:Will|May|Mark|Bill|Art)\s+(?:was|can|has|had|is|will|makes?|wants?|earned|bought)\b"
)
"""A person whose name is a verb elsewhere."""

# Talk

TO_ASSISTANT = phrases(
    r"""
    (can|could) (you|u) (please|just|also|help|tell|repeat|be more|speak|clarify|talk)
    (can|could) (you|u) (see|hear|understand|read|do|get)( (me|this|that|it))?\W*$
    (will|would|won't|are|were|have|did) (you|u)(?! (expect|allowed|able))
    do you(?! (have to|need|get|use|pay|call))|(should|may|shall) (i|we)|am i|do i look
    (can|could) (i|we) (ask|have|talk)
    is it worth|is there (any|an?) (way|chance)
    is (it|this|that|everything|anyone)( (ok|okay|you|good|there|correct|right|clear|possible))?\?*$
    können sie|kannst du|könntest du|peux-tu|pouvez-vous|puedes|puede usted|puoi
    is there (anything|anyone|something|someone) (you|i)|have (fun|you)|(will|can) do
    (do|does) (it|that|this) (work|help|make sense)\W*$
    """
)
_DESCRIBED = words(
    "differences? benefits advantages disadvantages reasons? purpose meaning point way ways practices?"
    " wrong going happening up new pros causes? implications? consequences plot history weather news books"
    " movies films theory moral themes? concept idea story significance importance role function symptoms"
    " effects? impact structure process relationship philosophy definition gist lesson outlook future your"
    " my"
)
EXPLANATION = phrases(
    r"""
    why|wieso|warum|weshalb|pourquoi|por qué|perché|почему
    how (do|does|did|can|could|should|would|to|is|are|was|were|about|come)(?! (you|i|we) (say|spell|call))
    wie (installiere|mache?|funktioniert|kann|geht|benutze)|comment( \w+)?|cómo|come (si|posso|faccio)
    how's|what does (this|that)|what does .{1,60} (do|mean)\W*$
    (what|which|where|when)( \w+){0,3} should (i|we)|what (can|could|would) (i|we|you)
    what (about|if (i|we)|happen\w*|makes?|causes?)
    what('s| is) (wrong|going|happening|up|new)
    was ist (der unterschied|los)|quelle est la différence|cuál es la diferencia
    """
)
DESCRIPTION = phrases(
    rf"""
    what (do|did) (you|i|we)(?! (call|get))|what does it
    what('s| is| are| was| were)( the| some| an?)?( main| key| real| whole| good| best)? {_DESCRIBED}
    """
)
"""Asks for a description, where no numbers are given."""
ABOUT_US = phrases(
    r"""
    (who|what|where|how|when|which)('s|'re| \w+)( \w+)? (you|your|u|ur|i|my)(?! (say|spell|get|call))
    who am i
    """
)

# Quantities

_NUMBER_WORDS = words(
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty hundred"
    " thousand million dozen half third quarter twice double triple percent percentage"
)
MATHS_WORD = phrases(
    r"""
    sum|quotient|remainder|median|probability|factorial|next number|standard deviation|variance|roman numerals
    perimeter|hypotenuse|vertex|triangles?|rectangles?|hexagons?|pentagons?|polygons?|diagonals?
    (square|cube) root|perfect (square|cube)s?|integers?|digits?|equations?|polynomials?|primes?|divisors?
    derivative|integral|determinant|logarithm
    fibonacci|gcd|lcm|sqrt|hex|matrix|permutations?|combinations?|exponent|cosine
    (smallest|largest|greatest|least|positive|whole|natural|real|rational|even|odd)( \w+)? numbers?
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
    convert|express|add|subtract|multiply|divide|estimate|count
    (square|cube|double|triple|halve|negate|say|echo|print) \d+
    berechne|löse|calcule|calcula|résous|resuelve|calcola|вычисли|реши|计算\w*
    """
)
HOW_MUCH = phrases(
    r"""
    how (many|much|long|far|fast|old|tall|often|heavy|big|large|high|deep)|number of
    wie ?viele?|wie (schnell|lange|weit|alt|hoch)|combien|cu[áa]nt[oa]s?|quant[oiae]s?|сколько|hoeveel|ile
    \w*(多少|几|いくつ)\w*
    """
)
_UNITS = words(
    "seconds minutes hours days weeks inches feet yards ounces cups grams kilograms milliliters"
    " centimeters meters sekunden minuten stunden tage heures minutes segundos minutos horas días"
)
COUNTED = phrases(
    rf"""
    how many( \w+){{0,3}} (ways|orders|arrangements|subsets|handshakes)|number of ways
    how many (letters|vowels|consonants|syllables|characters|words|\w's) (are|do|does|in)
    how many {_UNITS} (are )?(there )?in|wie viele {_UNITS}
    combien .{{0,12}}de {_UNITS}|cu[áa]nt[oa]s {_UNITS}
    """
)
NUMBER = re.compile(rf"\d|\b{_NUMBER_WORDS}\b", re.IGNORECASE)
NUMBER_IN_NAME = phrases(
    r"""
    (1[0-9]|20)\d\ds?
    (ww|world war|version|python|windows|formula|html|http|rfc|iso|gpt|apollo|area)[ -]?\d+(\.\d+)*
    """
)
"""Years and names, which give nothing to compute with."""
MEASURE = phrases(
    r"\d+(\.\d+)? ?(am|pm|mph|km/?h|km|m|miles?|hours?|minutes?|seconds?|days?|weeks?|%|percent|dollars?)"
)
OPERATION = re.compile(
    r"\d\s*(?:[+*/^×÷·=√]|%\s|(?:times|plus|minus|mal|por|fois|x)\s)"
    r"|\d\s+-\s+\d|\d-\d+\s*(?:$|[=?+*/])|\d\s(?:squared|cubed)|\b(?:half|double|twice)\s(?:of\s)?\d"
    r"|(?<!\d{4})(?<=\d)!(?=[\s+*/=?]|$)"
    r"|\b(?:log\d*|ln|exp|sqrt|sin|cos|tan|abs|gcd|lcm|mod|max|min)\s?\(|\w\^\w"
    r"|[√∫∑π∞≤≥]|\b[a-z]\s*[=^]\s*-?\d|\d[a-z]\s*[-+=]|\d(?:[,;\s]+\d+){3}",
    re.IGNORECASE,
)
"""An operator between numbers, an equation, or a sequence."""
FORMULA = re.compile(r"\$(?=\S)[^$\n]{0,200}[^\s$]\$(?!\d)|\\(?:frac|sqrt|begin|left|cdot|int|sum|\[|\()")
"""LaTeX; two prices are none."""
CONVERSION = phrases(r"[\w.]*\d\S*( \w+){1,3} (in|to|into|as)( \w+){1,2}\W*")

# Facts

QUESTION_WORD = phrases(
    r"who|whom|whose|what|whats|wats|when|where|which|how|why|(in|on|at|by|for) (what|which|how)"
)
_KNOWN = words(
    "capital name currency population author symbol president inventor height birthday birthplace ceo"
    " founder king queen opposite plural synonym formula"
)
_MEASURES = "(atomic number|(boiling|melting|freezing) point)"
_SORTS = words(
    "year country city colou?rs? language day month time element animal planet name date currency kind"
    " type state continent river company team band book movie film song word sport number port command gas"
    " metal organ fruit"
)
FACT = phrases(
    rf"""
    who|whom|whose|where|when|which|(in|on|at|for|to|from|by) (what|which|whom)
    (what|whats) (are|were) (the )?(\d|two|three|four|five|seven|names?|colou?rs|official|primary|\w+est)
    (what|whats|wats|wat)('s| is| was)? (the|\w+[\x27’]s|\w+s[\x27’]|\w+est|most)
    what {_SORTS}|what does \S+ stand for|what do (you|we) call
    how (many|much|tall|far|long|old|deep|high|big|large|heavy|fast|hot|cold|do (you|i|we) (say|spell|call))
    (the )?\w{{3,}}est( \w+){{1,3}} (in|of|on)|(the )?\w{{3,}}est( \w+){{1,2}}\W*$
    (the )?(\w+ )?({_KNOWN}|{_MEASURES})( \w+)? (of|for|in)
    (the )?(default port|chemical symbol|population)( \w+)?
    name (the|an?)
    wer|wann|wo|welche[rsnm]?|was ist d(ie|er|as)|wie ?(viele?|hoch|heißt|alt|groß|lang|weit)
    (in|aus|an) welche\w+|en qu[ée]l?(le)? \w+|à quelle|combien|cu[áa]nt[oa]s?|quant[oiae]
    qui|quand|où|quel(le)?s?|qui[ée]n|cu[áa]ndo|d[óo]nde|cu[áa]l|chi|quando|dove|qual|кто|когда|где
    """
)
FOR_PERSON_PLACE_TIME = phrases(
    r"""
    who|whom|whose|where|when (did|was|were)|which|(in|on|at|from|by) (what(?! (day|month))|which|whom)
    what (year|country|city|language|name|continent|river|company|team|band|book|movie|film|song)
    wer|wann|wo|welche[rsnm]?|qui|quand|où|qui[ée]n|cu[áa]ndo|d[óo]nde|chi|quando|dove
    """
)

# Code

CODE = re.compile(
    r"^[ \t]*(?:```|def \w+\(|import [\w.]+$|from \w+ import|class \w+[:(]|\#include|function \w+\("
    r"|const \w+ =|let \w+ =|diff --git|@@ |Traceback|SELECT |<\?php|<html|<!DOCTYPE|package \w+|assert "
    r"|print\(|(?:for|while|if|elif|with) [^\n]{1,80}:$|\w+ \w+\([^)\n]{0,80}\) ?\{)",
    re.MULTILINE,
)
CODE_RESULT = phrases(
    r"(what|which|predict|give) .{0,60}(outputs?|prints?|printed|returns?|returned|evaluates? to|value of)"
)
