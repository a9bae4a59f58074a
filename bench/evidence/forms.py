"""Sixty texts with known fields, for ``json_fields``: addresses, invoices, appointments, recipes and others.

Usage: ``python -m bench.evidence.forms > bench/forms.jsonl``

Each kind of form has a schema, six sets of fields from one seed, and three ways to tell them: plainly, in
another order with other dates and amounts around them, and as a note with something corrected. What is asked
for stands in the text, or, for a field that is not required, is missing from it and from the answer.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

SEED = 41
_EACH = 6

Fields = dict[str, Any]
Form = tuple[Mapping[str, Any], Callable[[random.Random], Fields], tuple[str, str, str]]

# fmt: off
_FIRST = (
    "Ana", "Boris", "Chiara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko",
    "Lars", "Mona", "Nadia", "Oskar", "Priya",
)
_LAST = (
    "Alvarez", "Brandt", "Costa", "Dvorak", "Eriksen", "Fischer", "Goldman", "Haddad", "Ito",
    "Jensen", "Kovacs", "Lindqvist", "Moreau",
)
_NUMBERS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)
# fmt: on
_CITIES = ("Leipzig", "Porto", "Utrecht", "Ghent", "Aarhus", "Graz", "Turku", "Bergen", "Girona", "Padua")
_STREETS = ("Mill Lane", "Station Road", "Harbour Street", "Oak Avenue", "Garden Row", "Chapel Hill")
_MONTHS = ("January", "March", "April", "June", "August", "October", "November")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _text(about: str) -> Fields:
    return {"type": "string", "description": about}


def _number(about: str) -> Fields:
    return {"type": "number", "description": about}


def _integer(about: str) -> Fields:
    return {"type": "integer", "description": about}


def _choice(*names: str) -> Fields:
    return {"type": "string", "enum": list(names)}


def _yes_no(about: str) -> Fields:
    return {"type": "boolean", "description": about}


def _texts(about: str) -> Fields:
    return {"type": "array", "items": {"type": "string"}, "description": about}


def _form(optional: str = "", **properties: Fields) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name != optional],
    }


def _name(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def _day(rng: random.Random) -> Fields:
    """A day as it is written, and as it is asked for; and another one."""
    month, day = rng.choice(_MONTHS), rng.randint(3, 27)
    return {
        "date": f"2026-{_NUMBERS.index(month) + 1:02d}-{day:02d}",
        "_day": f"{day} {month} 2026",
        "_other_day": f"{day - 2} {month} 2026",
    }


_DATE = _text("YYYY-MM-DD")


def _address(rng: random.Random) -> Fields:
    return {
        "name": _name(rng),
        "street": f"{rng.choice(_STREETS)} {rng.randint(2, 180)}",
        "postcode": str(rng.randint(10000, 98999)),
        "city": rng.choice(_CITIES),
        "_old": f"{rng.choice(_STREETS)} {rng.randint(2, 180)}",
    }


def _invoice(rng: random.Random) -> Fields:
    net = rng.randint(40, 900)
    return {
        "number": f"{rng.choice('ABR')}-{rng.randint(1000, 9999)}",
        "seller": f"{rng.choice(_LAST)} & {rng.choice(_LAST)} Ltd",
        **_day(rng),
        "net": net,
        "total": round(net * 1.2, 2),
        "paid": rng.random() < 0.5,
    }


def _appointment(rng: random.Random) -> Fields:
    hour = rng.randint(8, 17)
    return {
        "person": _name(rng),
        **_day(rng),
        "time": f"{hour:02d}:30",
        "minutes": rng.choice((20, 30, 45, 60, 90)),
        "place": rng.choice(("room 4", "the library", "the clinic", "studio B", "the town hall")),
        "_clock": f"half past {_WORDS[hour]}" if hour <= 10 else f"{hour}:30",
        "_other_clock": f"{hour + 1}:15",
    }


_PLANTS = ("Lentil", "Pumpkin", "Leek", "Carrot")


def _recipe(rng: random.Random) -> Fields:
    serves = rng.randint(2, 10)
    return {
        "title": f"{rng.choice(_PLANTS)} {rng.choice(('soup', 'stew', 'pie'))}",
        "serves": serves,
        "minutes": rng.choice((25, 35, 40, 50, 75)),
        "ingredients": rng.sample(["garlic", "cumin", "ginger", "rice", "thyme", "onions", "lemon"], 3),
        "vegan": rng.random() < 0.5,
        "_serves": _WORDS[serves],
    }


def _order(rng: random.Random) -> Fields:
    count, price = rng.randint(2, 9), rng.randint(3, 40)
    return {
        "item": rng.choice(("desk lamp", "oak shelf", "water filter", "bread knife", "wool blanket")),
        "colour": rng.choice(("green", "white", "black", "grey", "blue")),
        "count": count,
        "price_each": price,
        "delivery": rng.choice(("pickup", "standard", "express")),
        "_count": _WORDS[count],
        "_total": count * price,
        "_fewer": count - 1,
    }


def _trip(rng: random.Random) -> Fields:
    start, end = rng.sample(_CITIES, 2)
    return {
        "origin": start,
        "destination": end,
        **_day(rng),
        "passengers": rng.randint(2, 6),
        "seat": rng.choice(("window", "aisle")),
        "_via": rng.choice([city for city in _CITIES if city not in (start, end)]),
    }


def _job(rng: random.Random) -> Fields:
    return {
        "title": rng.choice(("nurse", "welder", "data analyst", "baker", "bus driver", "gardener")),
        "company": f"{rng.choice(_LAST)} {rng.choice(('Group', 'Works', 'Services'))}",
        "city": rng.choice(_CITIES),
        "salary": rng.randint(24, 68) * 1000,
        "hours": rng.choice((20, 30, 35, 40)),
        "remote": rng.random() < 0.5,
        "_founded": rng.randint(1950, 2015),
    }


def _event(rng: random.Random) -> Fields:
    return {
        "name": f"{rng.choice(('Spring', 'Harbour', 'Winter'))} {rng.choice(('Fair', 'Run', 'Concert'))}",
        **_day(rng),
        "venue": rng.choice(("Market Square", "the sports hall", "St. Mark's Park", "the old station")),
        "price": rng.choice((5, 8, 12, 18, 25)),
        "capacity": rng.choice((80, 120, 250, 400)),
        "_members": rng.choice((3, 4)),
    }


def _patient(rng: random.Random) -> Fields:
    return {
        "name": _name(rng),
        "age": rng.randint(19, 88),
        "symptoms": rng.sample(["cough", "fever", "headache", "back pain", "dizziness"], 2),
        "since_days": rng.randint(2, 9),
        "urgent": rng.random() < 0.5,
        "_mother_age": rng.randint(90, 97),
    }


def _flat(rng: random.Random) -> Fields:
    rooms = rng.randint(2, 6)
    return {
        "city": rng.choice(_CITIES),
        "rooms": rooms,
        "square_metres": rng.randint(38, 140),
        "rent": rng.randint(45, 180) * 10,
        "floor": rng.randint(1, 7),
        "pets": rng.random() < 0.5,
        "_rooms": _WORDS[rooms],
        "_heating": rng.randint(6, 14) * 10,
    }


def _either(yes: str, no: str) -> Callable[[bool], str]:
    return lambda value: yes if value else no


_SAID: Mapping[str, Callable[[bool], str]] = {
    "paid": _either("It has been paid in full.", "It is still open."),
    "vegan": _either("Everything in it is plant-based.", "It is not vegan."),
    "remote": _either("You may work from home.", "You have to be on site every day."),
    "urgent": _either("This cannot wait.", "It is not urgent."),
    "pets": _either("Cats and dogs are welcome.", "Pets are not allowed."),
}
"""How a yes or no is told."""

FORMS: Mapping[str, Form] = {
    "address": (
        _form(
            name=_text("of the person"),
            street=_text("with the house number"),
            postcode=_text(""),
            city=_text(""),
        ),
        _address,
        (
            "Please send it to {name}, {street}, {postcode} {city}.",
            "{name} used to live at {_old} and has moved within {city}: mail goes to {street} now, "
            "postcode {postcode}.",
            "new address!! {street} (not {_old} any more), {city}, {postcode}. for {name}",
        ),
    ),
    "invoice": (
        _form(
            number=_text("of the invoice"),
            seller=_text(""),
            date=_DATE,
            net=_number("before tax"),
            total=_number("with tax"),
            paid=_yes_no("is it paid"),
        ),
        _invoice,
        (
            "Invoice {number} of {_day} from {seller}. Net {net}.00, with tax {total:.2f}. {_paid}",
            "On {_other_day} we ordered from {seller}; their invoice came on {_day}. It says {total:.2f} "
            "to pay, of "
            "which {net}.00 are the goods and the rest is tax. The number is {number}. {_paid}",
            "{seller} sent {number} dated {_other_day}, sorry, {_day}. {net} plus tax makes {total:.2f}. "
            "{_paid}",
        ),
    ),
    "appointment": (
        _form(
            person=_text("who is met"),
            date=_DATE,
            time=_text("HH:MM"),
            minutes=_integer("duration"),
            place=_text(""),
        ),
        _appointment,
        (
            "Meeting with {person} on {_day} at {time} in {place}, {minutes} minutes.",
            "I first had {_other_day} in mind, but {person} can only do {_day}. We meet in {place} at "
            "{_clock} and "
            "need {minutes} minutes.",
            "{person}: not {_other_clock} but {_clock}, {_day}, {place}. takes {minutes} min",
        ),
    ),
    "recipe": (
        _form(
            title=_text(""),
            serves=_integer("people"),
            minutes=_integer("in all"),
            ingredients=_texts(""),
            vegan=_yes_no(""),
        ),
        _recipe,
        (
            "{title}: serves {serves}, takes {minutes} minutes. You need {_ingredients}. {_vegan}",
            "My grandmother's {title} feeds {_serves} people. Take {_ingredients}; no salt, no sugar. After "
            "{minutes} minutes it is on the table. {_vegan}",
            "{title} / {_ingredients} / {minutes} min / for {_serves} (I wrote two more last time, too "
            "much). {_vegan}",
        ),
    ),
    "order": (
        _form(
            item=_text("singular, without its colour"),
            colour=_text(""),
            count=_integer(""),
            price_each=_number(""),
            delivery=_choice("pickup", "standard", "express"),
        ),
        _order,
        (
            "Order: {count} x {item}, {colour}, {price_each} euros each, {delivery} delivery.",
            "We would like {_count} of the {item} in {colour}. The total of {_total} euros, {price_each} "
            "apiece, is "
            "fine. Delivery: {delivery}.",
            "{item} in {colour}: please make it {_count} instead of {_fewer}. {price_each} euros each as "
            "agreed. {delivery}",
        ),
    ),
    "trip": (
        _form(
            origin=_text(""),
            destination=_text(""),
            date=_DATE,
            passengers=_integer(""),
            seat=_choice("window", "aisle"),
        ),
        _trip,
        (
            "Train from {origin} to {destination} on {_day} for {passengers}, {seat} seat.",
            "We are {passengers} and want to get to {destination} on {_day}, changing in {_via}; we start in "
            "{origin}. {seat} if possible.",
            "{destination} from {origin}, {seat}, {passengers} people, {_day} (the {_other_day} is sold out)",
        ),
    ),
    "job": (
        _form(
            title=_text(""),
            company=_text(""),
            city=_text(""),
            salary=_integer("a year"),
            hours=_integer("a week"),
            remote=_yes_no(""),
        ),
        _job,
        (
            "{company} in {city} is looking for a {title}: {hours} hours a week, {salary} euros a year. "
            "{_remote}",
            "Founded in {_founded}, {company} now has {city} as its home. Become our {title}! We pay "
            "{salary} euros "
            "a year for a week of {hours} hours. {_remote}",
            "{title} wanted ({hours} h/week). {salary} per year. {company}, {city}. {_remote}",
        ),
    ),
    "event": (
        _form(
            name=_text(""),
            date=_DATE,
            venue=_text(""),
            price=_number("for guests who are no members"),
            capacity=_integer("people"),
        ),
        _event,
        (
            "{name}, {_day}, {venue}. Tickets {price} euros, {capacity} places.",
            "Members pay {_members} euros, all others {price}, for the {name} in {venue}. There is room for "
            "{capacity}; it was to be on {_other_day} and is on {_day} now.",
            "{venue} has {capacity} places, so be quick: {name} on {_day}, {price} euros ({_members} for "
            "members)",
        ),
    ),
    "patient": (
        _form(
            name=_text(""),
            age=_integer(""),
            symptoms=_texts(""),
            since_days=_integer("days with symptoms"),
            urgent=_yes_no(""),
        ),
        _patient,
        (
            "Patient {name}, {age} years old, {_symptoms} for {since_days} days. {_urgent}",
            "{name} called about {_symptoms}, which began {since_days} days ago. Aged {age}, lives with "
            "a mother of "
            "{_mother_age}. No allergies. {_urgent}",
            "{_symptoms}, day {since_days}. {name} ({age}). No rash. {_urgent}",
        ),
    ),
    "flat": (
        _form(
            city=_text(""),
            rooms=_integer(""),
            square_metres=_number(""),
            rent=_number("a month, without heating"),
            floor=_integer(""),
            pets=_yes_no("allowed"),
        ),
        _flat,
        (
            "Flat in {city}: {rooms} rooms, {square_metres} m2, floor {floor}, {rent} euros a month. {_pets}",
            "For {rent} euros and {_heating} more for heating you get {_rooms} rooms of {square_metres} "
            "square "
            "metres in all, on floor {floor} of a house in {city}. {_pets}",
            "{city}, {square_metres} m2, {_rooms} rooms, floor {floor}; {rent} + {_heating} heating. {_pets}",
        ),
    ),
}


def problems() -> list[Fields]:
    """The texts with their schemas and answers."""
    found = []
    for kind, (schema, make, ways) in FORMS.items():
        rng = random.Random(f"{SEED}/{kind}")
        for at in range(_EACH):
            known = make(rng)
            words = {f"_{name}": say(known[name]) for name, say in _SAID.items() if name in known}
            words |= {
                f"_{name}": " and ".join([", ".join(each[:-1]), each[-1]])
                for name, each in known.items()
                if isinstance(each, list)
            }
            answer = {name: known[name] for name in schema["properties"]}
            text = ways[at % len(ways)].format(**known, **words)
            known_as = {"id": f"{kind}-{at + 1}", "kind": "json"}
            found.append({**known_as, "question": text, "schema": schema, "answer": answer})
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for problem in problems():
        print(json.dumps(problem, ensure_ascii=False))


if __name__ == "__main__":
    main()
