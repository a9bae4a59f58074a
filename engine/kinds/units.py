"""The unit that a question asks for: 205 is ``205 minutes`` of "How many minutes ...?", and 20 is ``$20``.

Only an answer that is shown has a unit; answers are compared without. A wrong unit is worse than none, so in
doubt there is none: if a sentence asks twice or names two units, and for a price in one of two currencies.
"""

from __future__ import annotations

import re

from .recognising import asking_sentence
from .wording import phrases, words

_NO_NOUN = words(
    """
    is are was were be do does did has have had can could will would should must may might of in on at to
    for by from with than as if the these those this that his her hers its their theirs our your my us it
    he she they we you i there and or an? per each all both left remain go come fit gas canvas ones
    thousands hundreds millions billions
    """
)
_SYMBOLS = "km|cm|mm|m|kg|g|mg|ml|l|kwh"
_PLURAL = (
    rf"(?!{_NO_NOUN}\b)(?:[a-z-]+[^\W\dius]s|people|children|(?:wo)?men|feet|teeth|mice|{_SYMBOLS})(?![\w-])"
)
_COUNTED = (
    r"(?:[Hh]ow many|[Ww]hat(?:['’]s| is| was) the (?:total |average )?number of)"
    r" (?:(?:more|fewer|additional|total|combined|other|extra) )?"
    rf"((?:(?!{_NO_NOUN}\b)[a-z-]+ ){{0,2}}?{_PLURAL}(?: {_PLURAL}){{0,2}}+(?: per [a-z]+)?+)"
    r"(?!['’/,-]| (?:and|or|an?|per)\b)"
)
"""Some words up to the first plural: "math problems" of "How many math problems have they solved?"."""
_COUNTED_ABROAD = (
    r"(?:[Ww]ie ?viele (?:[a-zäöüß]+ )?(?=[A-ZÄÖÜ])|[Cc]ombien d(?:e |['’])(?=\w+[sx]\b)"
    r"|[Cc]u[áa]nt[oa]s (?=\w+s\b))(\w+)\b(?!,| (?:und|oder|et|ou|y|o)\b)"
)
_MEASURE = words(
    """
    kilomet(?:er|re)s (?:centi|milli)?met(?:er|re)s miles yards feet inches kilograms grams pounds
    ounces lit(?:er|re)s milliliters gallons cups seconds minutes hours days weeks months years dollars
    euros cents
    """
)
_IN = (
    r"(?i)(?:(?:^|[ ,])(?:in|into|en)|\d ?\w+ to) (?:degrees )?"
    rf"((?:square |cubic )?(?:{_MEASURE}|{_SYMBOLS})(?: per (?:second|minute|hour|day))?|km/h|mph|m/s"
    r"|celsius|fahrenheit)(?=[?.!,]|\s*$)"
)
_PERCENT = r"(?i)\b(?:how many|what|which|in|as an?)(?: (?:is|was) the)? (percent)(?:age)?\b"
_SIGNS = {"celsius": "°C", "fahrenheit": "°F", "percent": "%"}

_VERB = words("do does did will would should can must is are was were has have had")
_PRICE = phrases(
    rf"""
    how much (more |less )?(money|change|interest|tax|profit)
    how much( more| less)? {_VERB}( .*)? (get|make|costs?|pa(y|id)|owe|earn(ed)?|spen[dt]|charge|worth|bill)
    what {_VERB}( .*)? costs?
    how much (is|are|was|were) (an?|one|each|\d+) (?!third|half|quarter|percent)\w+
    what('s| is| was| are) (the|his|her|their|my|your)( (total|final|new|sale))? (costs?|price|bill|profit)
    was kost\w+|wie ?viel kost\w+|combien co[uû]t\w+|cu[áa]nto cuesta\w*|quanto cost\w+
    """
)
_CURRENCY = (
    r"(?i)(\$|\b(?:dollars|usd)\b)|(€|\b(?:euros?|eur)\b)|(£|\bgbp\b)|"
    r"(\bdollar\b|[¢¥₹₽]|(?<!to )(?<!nearest )\b(?:cents?|penn(?:y|ies)|pence|dimes?|nickels?|quarters"
    r"|bucks|yen|yuan|rupees?|pesos?|francs?|chf|rubles?)\b)"
)
"""A group for each that an answer may be in, and one for other money: cents may be asked for or not."""


def with_unit(question: str, answer: str) -> str:
    """An answer that is a bare number with the unit that its question asks for; any other as it is."""
    if answer == _minutes_between(question):
        return "{} h {} min".format(*divmod(int(answer), 60))
    text = unit_asked(question).format(answer)
    # Units are plural, and a share of 0.25 is no 0.25 %.
    if not re.fullmatch(r"\d[\d,]*(?:\.\d+)?", answer) or re.match(r"1(?:\.0+)? |0\.\d+ %", text):
        return answer
    return re.sub(r"(?i)^([$£].*\.\d$|.*\.\d(?= (?:€|dollars|euros?)$))", r"\g<1>0", text)


def _minutes_between(question: str) -> str | None:
    """Minutes between the two times of a question that asks how long something takes; None for others."""
    times = [60 * int(hour) + int(minute) for hour, minute in re.findall(r"\b(\d\d?):(\d\d)\b", question)]
    is_asked = len(times) == 2 and re.search(r"(?i)\bhow long\b", question)
    return str((times[1] - times[0]) % (24 * 60)) if is_asked else None


def unit_asked(question: str) -> str:
    """How a number that answers the question is written: ``{} minutes``, ``${}``; ``{}`` in doubt."""
    asks = question[question.rfind(asking_sentence(question)) :]
    matches = (re.search(each, asks) for each in (_COUNTED, _COUNTED_ABROAD, _IN, _PERCENT))
    units = {_SIGNS.get(match[1].lower(), match[1]) for match in matches if match}
    if not units and re.search(_PRICE, asks):
        money = {match.lastindex: match[0] for match in re.finditer(_CURRENCY, question)}
        units = set() if 4 in money else {*money.values()}
    if len(units) != 1 or len(re.findall(r"(?i)\b(?:how|what)\b", asks)) > 1:
        return "{}"
    [unit] = units
    return f"{unit}{{}}" if unit in "$£" else f"{{}} {unit}"
