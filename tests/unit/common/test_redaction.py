"""Secrets are cut out of texts, by value and by shape."""

import json
from urllib.parse import quote

import pytest

from common.redaction import MASK, Redactor

_SECRET = 'pä"ss/w\\ord 42'
_JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJBIn0.c2lnbmF0dXJl-_x"
_PEM = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
)


@pytest.mark.parametrize(
    "form",
    [_SECRET, json.dumps(_SECRET), repr(_SECRET), quote(_SECRET, safe=""), f"x{_SECRET}y"],
    ids=["plain", "json", "repr", "url", "inside"],
)
def test_a_registered_secret_is_hidden_in_every_form(form: str) -> None:
    """A secret also appears quoted in reprs, JSON bodies and URLs."""
    redactor = Redactor()
    assert MASK not in redactor.clean(form)
    redactor.hide(_SECRET)
    cleaned = redactor.clean(form)
    assert MASK in cleaned
    assert "ss" not in cleaned


@pytest.mark.parametrize("text", [_JWT, _JWT.rpartition(".")[0], _PEM, _PEM[:60]])
def test_a_token_or_key_is_hidden_by_its_shape(text: str) -> None:
    """Even a secret that nobody registered does not get out, also when it is cut off."""
    assert Redactor().clean(f"got {text} here").startswith(f"got {MASK}")
    assert "MIIE" not in Redactor().clean(text)


def test_ordinary_text_stays() -> None:
    """Offset tokens, ids and channel names are no secrets."""
    redactor = Redactor()
    redactor.hide("abc")
    text = "v1|9f3c00e1|77aa02,10bd4c|00000000000000000550 TH_0011AABB abc eyJ.x"
    assert redactor.clean(text) == text


def test_lines_of_a_key_are_hidden_on_their_own() -> None:
    """A traceback may show one line of a key."""
    redactor = Redactor()
    redactor.hide(_PEM)
    assert redactor.clean("bad data hkiG9w0BAQEFAASC!") == f"bad data {MASK}!"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    """A secret that begins with another one must not leave its end behind."""
    redactor = Redactor()
    redactor.hide("hunter")
    redactor.hide("hunter2-extended")
    assert redactor.clean("hunter2-extended") == MASK


def test_a_slot_keeps_only_the_two_newest() -> None:
    """A token renewed every hour for years does not make the process grow."""
    redactor = Redactor()
    for number in range(1_000):
        redactor.hide(f"scoped-token-{number:04d}", slot="scoped")
    assert redactor.clean("scoped-token-0998 scoped-token-0999") == f"{MASK} {MASK}"
    assert redactor.clean("scoped-token-0001") == "scoped-token-0001"
