import pytest

from worldnets import registry
from worldnets.errors import UnknownNameError
from worldnets.registry import Registry, RegistryError


def test_a_name_is_found_in_any_spelling_of_its_key():
    names = Registry("head", {"Message-Passing": 1})
    assert names.get("message passing") == names.get(" MESSAGE_PASSING ") == 1
    assert "message-passing" in names
    assert names.names() == list(names) == ["message_passing"]


def test_the_clash_check_sees_normalised_keys():
    names = Registry("head", {"cue-parity": 1})
    with pytest.raises(RegistryError, match=r"'Cue_Parity' is taken.*cue_parity"):
        names.register("Cue_Parity", 2)
    assert names.get("cue_parity") == 1


def test_registering_the_same_target_twice_changes_nothing():
    names = Registry("head", {"linear": "a:b"})
    names.register("linear", "a:b")
    assert len(names) == 1


def test_an_unknown_name_is_answered_with_the_nearest_known_one():
    with pytest.raises(UnknownNameError, match=r"unknown head; found 'mpl'. Mend: did you mean 'mlp'?"):
        Registry("head", {"mlp": 1, "linear": 2}).get("mpl")
    with pytest.raises(UnknownNameError, match="unknown head; found 3"):
        Registry("head", {"mlp": 1}).get(3)  # type: ignore[arg-type]


def test_a_lazy_target_is_imported_when_asked_for_and_not_when_listed():
    names = Registry("module", {"decimal": "decimal:Decimal.from_float", "absent": "no_such_module_here:x"})
    assert names.names() == ["absent", "decimal"]
    assert names.get("decimal")(0.5) == 0.5
    with pytest.raises(RegistryError, match=r"module 'absent' \(no_such_module_here:x\) cannot be imported: No module"):
        names.get("absent")


@pytest.mark.parametrize("target", ["module", "module:", ":object"])
def test_a_malformed_lazy_target_is_refused_when_registered(target):
    with pytest.raises(RegistryError, match="malformed target"):
        Registry("world", {"a": target})


def test_an_empty_name_is_refused():
    with pytest.raises(RegistryError, match="an empty world name"):
        Registry("world", {"  ": 1})


def test_names_of_installed_packages_join_the_list_and_lose_against_own_names(monkeypatch):
    entries = [
        registry.EntryPoint("Digits", "decimal:Decimal", "plugins"),
        registry.EntryPoint("own", "no_such_module_here:x", "plugins"),
        registry.EntryPoint("broken", "no_such_module_here:x", "plugins"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == "plugins" else [])
    names = Registry("world", {"own": 7}, group="plugins")
    assert names.names() == ["broken", "digits", "own"]
    assert names.get("digits")("1") == 1
    assert names.get("own") == 7
    with pytest.raises(RegistryError, match=r"'broken' .* cannot be imported"):
        names.get("broken")
