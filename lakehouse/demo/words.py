"""Invented names for the simulated source: people, artists, albums and tracks."""

from random import Random


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(text.split()).split(", "))


PLANS = ("Free", "Premium", "Family")
DEVICES = ("Mobile", "Desktop", "Smart Speaker", "Tablet", "Car")
GENRES = ("Pop", "Rock", "Jazz", "Hip-Hop", "Electronic", "Classical", "Folk", "Soul")
COUNTRIES = _listed("""
    Argentina, Australia, Austria, Brazil, Canada, Chile, Côte d'Ivoire, Denmark,
    Egypt, Finland, France, Germany, Ghana, India, Indonesia, Ireland, Italy,
    Japan, Kenya, Mexico, Morocco, Netherlands, New Zealand, Nigeria, Norway,
    Peru, Poland, Portugal, South Korea, Spain, Sweden, Türkiye, United Kingdom,
    United States, Vietnam
""")
_FIRST = _listed("""
    Ada, Alma, Amir, Anya, Bea, Bruno, Carla, Chidi, Dana, Darius, Elif, Emil,
    Fay, Femi, Gita, Hana, Hugo, Ines, Ivan, Jana, Joris, Kai, Kira, Lars, Leila,
    Luca, Maren, Mateo, Mina, Nia, Nils, Olga, Omar, Pia, Ravi, Rosa, Sami, Siri,
    Tariq, Tess, Uma, Vera, Wanja, Ximena, Yara, Zoë
""")
_LAST = _listed("""
    Abara, Bergman, Castell, Dahl, Eriksen, Farrow, Giordano, Haddad, Ito, Jansen,
    Kowal, Lindgren, Marlow, Nakata, O'Dell, Okafor, Pereira, Quint, Rahimi,
    Sørby, Takeda, Urban, Valdés, Weston, Xavier, Yilmaz, Zeller, Ashby,
    Bellweather, Corrigan, Dufresne, Ellwood, Falk, Greave
""")
_MOOD = _listed("""
    Amber, Blue, Broken, Crimson, Distant, Electric, Empty, Fading, Gentle,
    Golden, Hidden, Hollow, Last, Lonely, Midnight, Neon, Northern, Paper, Quiet,
    Restless, Silver, Slow, Velvet, Wild
""")
_THING = _listed("""
    Avenue, Bridges, Cathedral, Dancers, Echo, Engine, Garden, Harbour, Horizon,
    Lanterns, Letters, Machine, Mirrors, Mountain, Ocean, Orchard, Parade, River,
    Satellites, Shadows, Signal, Summer, Tigers, Train, Window, Winter
""")


def person(rng: Random) -> str:
    """Return a first and a last name."""
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def artist(rng: Random) -> str:
    """Return a band's name or a person's."""
    return rng.choice((_band, person))(rng)


def album(rng: Random) -> str:
    """Return an album's title."""
    return f"{rng.choice(_THING)} & {rng.choice(_THING)}"


def track(rng: Random) -> str:
    """Return a track's title."""
    return f"{rng.choice(_MOOD)} {rng.choice(_THING)}"


def country(rng: Random) -> str:
    """Return a country's English name."""
    return rng.choice(COUNTRIES)


def genre(rng: Random) -> str:
    """Return a genre."""
    return rng.choice(GENRES)


def plan(rng: Random) -> str:
    """Return a subscription type."""
    return rng.choice(PLANS)


def device(rng: Random) -> str:
    """Return a device type."""
    return DEVICES[int(rng.random() * len(DEVICES))]


def _band(rng: Random) -> str:
    return f"The {rng.choice(_MOOD)} {rng.choice(_THING)}"
