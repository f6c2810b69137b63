"""Languages that documents can be in: their codes, their names, and what a wrong code may mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from app.engine.problems import Problem, RagloomError

#: ISO 639-1, and ISO 639-3 where a language that is told apart has no shorter code.
NAMES = {
    "aa": "Afar", "ab": "Abkhazian", "ae": "Avestan", "af": "Afrikaans", "ak": "Akan",
    "am": "Amharic", "an": "Aragonese", "ar": "Arabic", "as": "Assamese", "av": "Avaric",
    "ay": "Aymara", "az": "Azerbaijani", "ba": "Bashkir", "be": "Belarusian", "bg": "Bulgarian",
    "bi": "Bislama", "bm": "Bambara", "bn": "Bengali", "bo": "Tibetan", "br": "Breton",
    "bs": "Bosnian", "ca": "Catalan", "ce": "Chechen", "ch": "Chamorro", "co": "Corsican",
    "cr": "Cree", "cs": "Czech", "cu": "Church Slavic", "cv": "Chuvash", "cy": "Welsh",
    "da": "Danish", "de": "German", "dv": "Divehi", "dz": "Dzongkha", "ee": "Ewe", "el": "Greek",
    "en": "English", "eo": "Esperanto", "es": "Spanish", "et": "Estonian", "eu": "Basque",
    "fa": "Persian", "ff": "Fula", "fi": "Finnish", "fj": "Fijian", "fo": "Faroese",
    "fr": "French", "fy": "Western Frisian", "ga": "Irish", "gd": "Scottish Gaelic",
    "gl": "Galician", "gn": "Guarani", "gu": "Gujarati", "gv": "Manx", "ha": "Hausa",
    "he": "Hebrew", "hi": "Hindi", "ho": "Hiri Motu", "hr": "Croatian", "ht": "Haitian",
    "hu": "Hungarian", "hy": "Armenian", "hz": "Herero", "ia": "Interlingua", "id": "Indonesian",
    "ie": "Interlingue", "ig": "Igbo", "ii": "Nuosu", "ik": "Inupiaq", "io": "Ido",
    "is": "Icelandic", "it": "Italian", "iu": "Inuktitut", "ja": "Japanese", "jv": "Javanese",
    "ka": "Georgian", "kg": "Kongo", "ki": "Kikuyu", "kj": "Kwanyama", "kk": "Kazakh",
    "kl": "Greenlandic", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "kr": "Kanuri",
    "ks": "Kashmiri", "ku": "Kurdish", "kv": "Komi", "kw": "Cornish", "ky": "Kyrgyz",
    "la": "Latin", "lb": "Luxembourgish", "lg": "Ganda", "li": "Limburgish", "ln": "Lingala",
    "lo": "Lao", "lt": "Lithuanian", "lu": "Luba-Katanga", "lv": "Latvian", "mg": "Malagasy",
    "mh": "Marshallese", "mi": "Māori", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian",
    "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "my": "Burmese", "na": "Nauru",
    "nb": "Norwegian Bokmål", "nd": "North Ndebele", "ne": "Nepali", "ng": "Ndonga", "nl": "Dutch",
    "nn": "Norwegian Nynorsk", "no": "Norwegian", "nr": "South Ndebele", "nv": "Navajo",
    "ny": "Chichewa", "oc": "Occitan", "oj": "Ojibwa", "om": "Oromo", "or": "Odia",
    "os": "Ossetian", "pa": "Punjabi", "pi": "Pali", "pl": "Polish", "ps": "Pashto",
    "pt": "Portuguese", "qu": "Quechua", "rm": "Romansh", "rn": "Rundi", "ro": "Romanian",
    "ru": "Russian", "rw": "Kinyarwanda", "sa": "Sanskrit", "sc": "Sardinian", "sd": "Sindhi",
    "se": "Northern Sami", "sg": "Sango", "si": "Sinhala", "sk": "Slovak", "sl": "Slovenian",
    "sm": "Samoan", "sn": "Shona", "so": "Somali", "sq": "Albanian", "sr": "Serbian",
    "ss": "Swati", "st": "Southern Sotho", "su": "Sundanese", "sv": "Swedish", "sw": "Swahili",
    "ta": "Tamil", "te": "Telugu", "tg": "Tajik", "th": "Thai", "ti": "Tigrinya", "tk": "Turkmen",
    "tl": "Tagalog", "tn": "Tswana", "to": "Tonga", "tr": "Turkish", "ts": "Tsonga", "tt": "Tatar",
    "tw": "Twi", "ty": "Tahitian", "ug": "Uyghur", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek",
    "ve": "Venda", "vi": "Vietnamese", "vo": "Volapük", "wa": "Walloon", "wo": "Wolof",
    "xh": "Xhosa", "yi": "Yiddish", "yo": "Yoruba", "za": "Zhuang", "zh": "Chinese", "zu": "Zulu",
    "ace": "Acehnese", "ary": "Moroccan Arabic", "arz": "Egyptian Arabic", "bcl": "Central Bikol",
    "crh": "Crimean Tatar", "ext": "Extremaduran", "fuv": "Nigerian Fulfulde",
    "gcf": "Antillean Creole", "gcr": "Guianese Creole", "gom": "Konkani", "grc": "Ancient Greek",
    "gug": "Paraguayan Guarani", "guw": "Gun", "hbo": "Ancient Hebrew", "kab": "Kabyle",
    "kik": "Kikuyu", "lij": "Ligurian", "ltg": "Latgalian", "nso": "Northern Sotho",
    "pcm": "Nigerian Pidgin", "sdh": "Southern Kurdish", "uzs": "Southern Uzbek",
    "vec": "Venetian",
}  # fmt: skip
_BY_NAME = {name.lower(): code for code, name in reversed(NAMES.items())}
#: Names of languages in themselves, and codes of countries, that are often written instead.
_BY_NAME |= {
    "deutsch": "de", "español": "es", "français": "fr", "italiano": "it", "nederlands": "nl",
    "português": "pt", "cn": "zh", "cz": "cs", "dk": "da", "gr": "el", "jp": "ja", "ua": "uk",
}  # fmt: skip
#: Shortest beginning of a name that stands for it: “eng”, “ger”.
_SHORTEST = 3


def closest(code: str) -> str:
    """The known code that somebody who wrote `code` most likely means."""
    wanted = code.strip().lower()
    base = wanted.replace("_", "-").partition("-")[0]
    if base in NAMES:
        return base
    if base in _BY_NAME:
        return _BY_NAME[base]
    if len(base) >= _SHORTEST:
        for name in _BY_NAME:
            if name.startswith(base):
                return _BY_NAME[name]
        near = difflib.get_close_matches(base, _BY_NAME, n=1, cutoff=0.7)
        if near:
            return _BY_NAME[near[0]]
        if base[:2] in NAMES:
            return base[:2]
    return difflib.get_close_matches(base, NAMES, n=1, cutoff=0)[0]


def unknown_languages(codes: Iterable[str], where: str) -> list[Problem]:
    """A problem for each code that is no language known here, with the one that comes closest."""
    found = []
    for code in codes:
        if code not in NAMES:
            near = closest(code)
            found.append(
                Problem(
                    code="unknown_language",
                    message=f"{where}: “{code[:50]}” is no language known here.",
                    fix=f"Did you mean “{near}” ({NAMES[near]})? Use codes such as “de” "
                    "(ISO 639-1), without a region.",
                    found=code[:50],
                    expected=near,
                )
            )
    return found


def check_languages(codes: Iterable[str], where: str) -> None:
    """Raise RagloomError “invalid_config” with every code that is no language known here."""
    problems = unknown_languages(codes, where)
    if problems:
        raise RagloomError(
            " ".join(problem.message for problem in problems),
            code="invalid_config",
            fix=" ".join(dict.fromkeys(problem.fix for problem in problems)),
            problems=problems,
        )
