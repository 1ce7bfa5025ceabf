from dataclasses import dataclass, field

import pytest

from groupvit.config import differences, from_values, load_toml
from groupvit.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Wheel:
    size: float = 20.0


@dataclass(frozen=True, kw_only=True)
class Bicycle:
    name: str = "old"
    wheels: tuple[Wheel, ...] = (Wheel(), Wheel())
    front: Wheel = field(default_factory=Wheel)

    def __post_init__(self):
        if not self.name:
            raise ValueError("name is empty")


@pytest.fixture
def read(tmp_path):
    """Reads a text as the settings file of a bicycle."""

    def read(text):
        path = tmp_path / "bicycle.toml"
        path.write_text(text)
        return load_toml(Bicycle, path)

    return read


def test_a_settings_file_says_only_what_differs(read):
    assert read("") == Bicycle()
    assert read("[front]\nsize = 28") == Bicycle(front=Wheel(size=28.0))


def test_an_array_of_tables_becomes_a_tuple(read):
    text = "[[wheels]]\nsize = 1.5\n[[wheels]]\n[[wheels]]\nsize = 2"
    assert read(text).wheels == (Wheel(size=1.5), Wheel(), Wheel(size=2.0))


def test_values_are_merged_into_a_base_field_by_field():
    base = Bicycle(name="fast", wheels=(Wheel(size=1.0),) * 3, front=Wheel(size=28.0))
    assert from_values(Bicycle, {}, where="here", base=base) == base
    values = {"wheels": [{}], "front": {"size": 26}}
    changed = from_values(Bicycle, values, where="here", base=base)
    assert changed == Bicycle(name="fast", wheels=(Wheel(),), front=Wheel(size=26.0))
    with pytest.raises(InputError, match="here: front: unknown setting sise"):
        from_values(Bicycle, {"front": {"sise": 1}}, where="here", base=base)
    with pytest.raises(InputError, match="here: name is empty"):
        from_values(Bicycle, {"name": ""}, where="here", base=base)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 'a'\nname =\nbell = 1", r"bicycle.toml is no TOML: .*line 2"),
        ("name = 'a", r"bicycle.toml is no TOML: "),
        ("bell = 1", r"bicycle.toml: unknown setting bell; known are name, wheels, front"),
        ("[front]\nsise = 1", r"bicycle.toml: front: unknown setting sise; known are size"),
        ("[front]\nsize = '1'", r"bicycle.toml: front: size is '1', which is not float"),
        ("[[wheels]]\nsize = true", r"bicycle.toml: wheels\[0\]: size is True"),
        ("name = ''", r"bicycle.toml: name is empty"),
    ],
)
def test_a_mistake_is_named_by_file_and_place(read, text, says):
    with pytest.raises(InputError, match=says):
        read(text)


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no settings file .*none.toml"):
        load_toml(Bicycle, tmp_path / "none.toml")
    (tmp_path / "image.toml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"image.toml cannot be read"):
        load_toml(Bicycle, tmp_path / "image.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load_toml(Bicycle, tmp_path)


def test_differences_are_named_with_dots():
    assert differences(Bicycle(), Bicycle()) == {}
    changed = Bicycle(name="new", front=Wheel(size=1.0))
    assert differences(Bicycle(), changed) == {"name": ("old", "new"), "front.size": (20.0, 1.0)}


def test_a_byte_order_mark_is_no_setting(tmp_path):
    path = tmp_path / "bicycle.toml"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text("name = 'new'", encoding=encoding)
        assert load_toml(Bicycle, path) == Bicycle(name="new")


def test_a_refusal_that_shows_a_long_value_is_cut():
    @dataclass(frozen=True, kw_only=True)
    class Strict:
        name: str = ""

        def __post_init__(self):
            if self.name:
                raise ValueError(f"name is {self.name!r}; leave it out")

    with pytest.raises(InputError, match=r"^a: name is 'xxx.*xxx'; leave it out$") as error:
        from_values(Strict, {"name": "x" * 9000}, where="a")
    assert len(str(error.value)) < 700
