"""WCAG AA: the contrast of every pair of colours the canvas puts on each other, in both themes.

Text needs 4.5 to 1, signs and wires 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11). Colours are worked out
from the style sheets: as the page defines them, and from the canvas' own fall-backs.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from app.engine.registry import Registry
from app.nodes import register_all
from app.ui.canvas.structure import COLOURS

UI = Path(__file__).parents[2] / "app" / "ui"
TOKENS = (UI / "canvas" / "frontend" / "src" / "tokens.css").read_text()
THEME = (UI / "static" / "theme.css").read_text()

Rgb = tuple[float, float, float]
FAMILIES = sorted(set(re.findall(r"--family-(\w+):", TOKENS)))
TYPES = sorted(set(re.findall(r"--type-(\w+):", TOKENS)))
MARKS = sorted(set(re.findall(r"--mark-(\w+):", TOKENS)))
PEOPLE = range(8)


def declared(css: str, selector: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for block in re.findall(re.escape(selector) + r" \{(.*?)\n\}", css, re.S):
        found |= dict(re.findall(r"--([\w-]+): ([^;]+);", block))
    return found


class Palette:
    """Colours of one theme, on the page or (bare) without it."""

    def __init__(self, *, dark: bool, bare: bool) -> None:
        self.values = declared(TOKENS, ".rl-canvas")
        if dark:
            self.values |= declared(TOKENS, ".rl-canvas.is-dark")
        if not bare:
            self.values |= declared(THEME, ":root")
            if dark:
                self.values |= declared(THEME, 'html[data-theme="dark"]')

    def colour(self, name: str) -> Rgb:
        return self.read(f"var(--{name})")

    def read(self, text: str) -> Rgb:
        text = self._settled(text)
        if text.startswith("#"):
            r, g, b = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
            return r, g, b
        match = re.fullmatch(r"oklch\((.+?) ([\d.]+) ([\d.]+)\)", text)
        assert match, text
        return oklch(number(match[1]), float(match[2]), float(match[3]))

    def _settled(self, text: str) -> str:
        """Put in what variables stand for, the innermost first."""
        while match := re.search(r"var\(--([\w-]+)(?:, ([^()]+))?\)", text):
            known = self.values.get(match[1], match[2])
            assert known is not None, match[0]
            text = text.replace(match[0], known)
        return text.strip()


def number(text: str) -> float:
    """A number, or `calc(a + b)`."""
    parts = text.removeprefix("calc(").removesuffix(")").split()
    total = float(parts[0])
    for sign, value in zip(parts[1::2], parts[2::2], strict=True):
        total += float(value) if sign == "+" else -float(value)
    return total


def oklch(lightness: float, chroma: float, hue: float) -> Rgb:
    """OKLCH to sRGB, cut to its gamut (B. Ottosson, "A perceptual color space", 2020)."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    r, g, b = (
        min(1.0, max(0.0, 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055))
        for c in linear
    )
    return r, g, b


def over(front: Rgb, back: Rgb, share: float) -> Rgb:
    """A colour of some opacity on another one."""
    r, g, b = (f * share + k * (1 - share) for f, k in zip(front, back, strict=True))
    return r, g, b


def luminance(colour: Rgb) -> float:
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: Rgb, other: Rgb) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(
    params=[(False, False), (True, False), (False, True), (True, True)],
    ids=["light", "dark", "light-bare", "dark-bare"],
)
def palette(request: pytest.FixtureRequest) -> Palette:
    dark, bare = request.param
    return Palette(dark=dark, bare=bare)


def texts(p: Palette) -> dict[str, tuple[Rgb, Rgb]]:
    """Every text of the canvas on its ground."""
    c = p.colour
    raised, bg = c("raised"), c("bg")
    pairs = {
        **{f"text on {on}": (c("text"), c(on)) for on in ("raised", "bg", "surface", "sunken")},
        **{f"muted on {on}": (c("muted"), c(on)) for on in ("raised", "bg", "surface", "sunken")},
        **{f"{t} on raised": (c(t), raised) for t in ("accent", "danger", "warn", "ok")},
        "accent on a menu's line": (c("accent"), c("surface")),
        "port name": (over(c("text"), raised, 0.82), raised),
        "failed": (c("danger"), over(c("danger"), raised, 0.09)),
        "waiting for a person": (c("warn"), over(c("warn"), raised, 0.12)),
        "cached": (c("muted"), over(c("accent"), raised, 0.07)),
        "toast": (bg, c("text")),
        "plus of a wire": (c("accent-text"), c("accent")),
        **{f"mark {m}": (c(f"mark-{m}"), raised) for m in MARKS},
        "removed title": (c("text"), over(c("danger"), raised, 0.06)),
        **{f"person {i}": (c("person-text"), c(f"person-{i}")) for i in PEOPLE},
    }
    for tint in COLOURS:
        paper = c(f"note-{tint}")
        pairs |= {
            f"note {tint}": (c("text"), paper),
            f"link in note {tint}": (c("accent"), paper),
            f"empty note {tint}": (over(c("text"), paper, 0.75), paper),
            f"group {tint}": (c("text"), over(paper, bg, 0.45)),
            f"count of group {tint}": (c("muted"), over(paper, bg, 0.45)),
        }
    return pairs


def signs(p: Palette) -> dict[str, tuple[Rgb, Rgb]]:
    """Icons, wires, dots, frames and focus rings on their ground."""
    c = p.colour
    raised, bg = c("raised"), c("bg")
    pairs = {
        **{f"icon {f}": (c(f"family-{f}"), raised) for f in FAMILIES},
        **{f"dot {t}": (c(f"type-{t}"), raised) for t in TYPES},
        **{f"wire {t}": (over(c(f"type-{t}"), bg, wire_opacity()), bg) for t in TYPES},
        "focus ring on the ground": (c("accent"), bg),
        "focus ring on a card": (c("accent"), raised),
        **{f"pointer of person {i}": (c(f"person-{i}"), bg) for i in PEOPLE},
        **{f"frame {t}": (c(f"frame-{t}"), over(c(f"note-{t}"), bg, 0.45)) for t in COLOURS},
    }
    return pairs


def wire_opacity() -> float:
    css = (UI / "canvas" / "frontend" / "src" / "canvas.css").read_text()
    match = re.search(r"\.rl-wire-path \{[^}]*stroke-opacity: ([\d.]+)", css)
    assert match
    return float(match[1])


def test_text_can_be_read(palette: Palette) -> None:
    found = {name: round(contrast(*pair), 2) for name, pair in texts(palette).items()}
    assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}


def test_signs_can_be_told_from_their_ground(palette: Palette) -> None:
    found = {name: round(contrast(*pair), 2) for name, pair in signs(palette).items()}
    assert {name: ratio for name, ratio in found.items() if ratio < 3} == {}


def test_every_family_and_port_type_has_a_colour() -> None:
    registry = Registry()
    register_all(registry)
    assert {cls.family for cls in registry} <= set(FAMILIES)
    assert set(registry.value_types()) <= set(TYPES)


def test_the_sums_are_right() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast((0.4666, 0.4666, 0.4666), (1, 1, 1)) == pytest.approx(4.48, abs=0.01)
    assert oklch(1, 0, 0) == pytest.approx((1, 1, 1), abs=1e-3)
    assert oklch(0.6279, 0.2577, 29.23) == pytest.approx((1, 0, 0), abs=5e-3)
