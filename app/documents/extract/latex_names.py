"""What LaTeX's commands and environments stand for, or how they are passed over."""

from __future__ import annotations

import re
import unicodedata

#: Command -> combining character.
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306",
    ".": "\u0307", '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323",
    "c": "\u0327", "k": "\u0328", "b": "\u0331",
}  # fmt: skip
ACCENTS = frozenset(_ACCENTS)

#: Command -> text.
SIGNS = {
    "ss": "ß", "SS": "ẞ", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø",
    "aa": "å", "AA": "Å", "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð",
    "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "ng": "ŋ", "NG": "Ŋ",
    "S": "§", "P": "¶", "dag": "†", "ddag": "‡", "copyright": "©", "pounds": "£", "euro": "€",
    "texteuro": "€", "EUR": "€", "textregistered": "®", "texttrademark": "™",
    "textcopyright": "©", "textdegree": "°", "degree": "°", "textmu": "µ", "textonehalf": "½",
    "ldots": "…", "dots": "…", "textellipsis": "…", "textendash": "–", "textemdash": "—",
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textbar": "|",
    "textless": "<", "textgreater": ">", "textquotedblleft": "“", "textquotedblright": "”",
    "textquoteleft": "‘", "textquoteright": "’", "textquotesingle": "'", "glqq": "„",
    "grqq": "“", "quotedblbase": "„", "guillemotleft": "«", "guillemotright": "»", "flqq": "«",
    "frqq": "»", "textunderscore": "_", "textbullet": "•", "textperiodcentered": "·",
    "textsection": "§", "textexclamdown": "¡", "textquestiondown": "¿", "textdollar": "$",
    "lbrack": "[", "rbrack": "]", "lbrace": "{", "rbrace": "}", "slash": "/", "checkmark": "✓",
    "LaTeX": "LaTeX", "LaTeXe": "LaTeX2e", "TeX": "TeX", "BibTeX": "BibTeX", "XeTeX": "XeTeX",
    "LuaTeX": "LuaTeX", "pdfLaTeX": "pdfLaTeX",
    "quad": " ", "qquad": " ", "enspace": " ", "enskip": " ", "thinspace": " ", "space": " ",
    "hfill": " ", "hspace": " ", "tab": " ", "newline": "\x01", "linebreak": "\x01",
    # Punctuation behind a backslash.
    "&": "&", "%": "%", "$": "$", "#": "#", "_": "_", "{": "{", "}": "}", " ": " ", "\n": " ",
    "\t": " ", ",": " ", ";": " ", ":": " ", ">": " ", "\\": "\x01",
}  # fmt: skip
#: Marks in the source -> text.
MARKS = {"~": " ", "--": "–", "---": "—", "``": "“", "''": "”", "`": "‘", "{": "", "}": "",
         "&": " "}  # fmt: skip

#: Kinds of headings, from the outermost.
LEVELS = {
    "part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6,
    "subparagraph": 7, "frametitle": 5, "framesubtitle": 6,
}  # fmt: skip
LISTS = frozenset({"itemize", "enumerate", "description", "compactitem", "compactenum"})
TABLES = frozenset({"tabular", "tabular*", "tabularx", "tabulary", "longtable", "supertabular"})
FORMULAS = frozenset(
    {"equation", "align", "gather", "multline", "eqnarray", "displaymath", "flalign", "alignat",
     "math", "subequations", "dmath"}
)  # fmt: skip
#: Environments -> how many arguments in braces they have that nobody reads.
WRAPPERS = {"minipage": 1, "wrapfigure": 2, "wraptable": 2, "multicols": 1, "adjustbox": 1,
             "subfigure": 1, "column": 1, "thebibliography": 1, "spacing": 1}  # fmt: skip
#: Commands -> how many arguments in braces they have that nobody reads.
UNREAD = {
    "documentclass": 1, "documentstyle": 1, "usepackage": 1, "RequirePackage": 1, "label": 1,
    "vspace": 1, "setlength": 2, "addtolength": 2, "setcounter": 2,
    "addtocounter": 2, "includegraphics": 1, "bibliographystyle": 1, "bibliography": 1,
    "addbibresource": 1, "pagestyle": 1, "thispagestyle": 1, "pagenumbering": 1, "geometry": 1,
    "hypersetup": 1, "graphicspath": 1, "definecolor": 3, "color": 1, "textcolor": 1,
    "colorbox": 1, "rule": 2, "cline": 1, "cmidrule": 1, "input": 1, "include": 1,
    "hyphenation": 1, "fontsize": 2, "selectlanguage": 1, "captionsetup": 1, "lstset": 1,
    "newlength": 1, "newcounter": 1, "theoremstyle": 1, "index": 1, "raisebox": 1, "parbox": 1,
    "makebox": 0, "scalebox": 1, "resizebox": 2, "foreignlanguage": 1, "phantom": 1,
    "addcontentsline": 3, "markboth": 2, "markright": 1, "newenvironment": 3,
    "renewenvironment": 3, "usetikzlibrary": 1, "columncolor": 1, "rowcolor": 1, "cellcolor": 1,
    "fontfamily": 1, "nocite": 1,
}  # fmt: skip
CITES = re.compile(
    r"(?:[A-Za-z]*cite[a-z]*|(?:eq|page|auto|name|v|c|C)?ref)\Z"
)  # \citep, \autocite, \ref, \cref …


def accented(command: str, base: str) -> str:
    """Return letters with the accent of a command on the first of them."""
    first, rest = {"ı": "i", "ȷ": "j"}.get(base[:1], base[:1]), base[1:]
    if not first.isalpha():
        return base
    return unicodedata.normalize("NFC", first + _ACCENTS[command]) + rest
