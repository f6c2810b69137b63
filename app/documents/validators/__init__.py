"""Built-in validators: functions from passages to what is wrong with them."""

from app.documents.quality import Registered
from app.documents.validators.code import code_syntax
from app.documents.validators.damage import encoding, mend_encoding
from app.documents.validators.plain import (
    boilerplate,
    duplicate,
    language,
    max_length,
    min_length,
    without_boilerplate,
)
from app.documents.validators.similar import near_duplicate
from app.documents.validators.terms import technical_terms

#: name -> validator
BUILTIN = {
    "min_length": Registered(min_length, action="drop"),
    "max_length": Registered(max_length),
    "duplicate": Registered(duplicate, action="drop"),
    "near_duplicate": Registered(near_duplicate),
    "encoding": Registered(encoding, mend_encoding, "repair"),
    "boilerplate": Registered(boilerplate, without_boilerplate),
    "language": Registered(language),
    "code_syntax": Registered(code_syntax),
    "technical_terms": Registered(technical_terms),
}
