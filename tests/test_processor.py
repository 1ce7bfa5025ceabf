"""Name and extensions of the processor."""

from groupvit.processor import read

XEON = """processor\t: 0
model name\t: Some Maker X(R) 8488
flags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni amx_tile

processor\t: 1
model name\t: another
"""


def test_the_extensions_for_products_are_named(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text(XEON)
    found = read(file)
    assert found.name == "Some Maker X(R) 8488"
    assert found.extensions == ("AMX", "AVX-512 bf16", "AVX-512 VNNI", "AVX-512", "AVX2")
    assert str(found).startswith("Some Maker X(R) 8488 (AMX, ")


def test_arm_names_its_flags_otherwise(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nFeatures : fp asimd\n")
    assert read(file).extensions == ("NEON",)


def test_a_system_without_a_description_has_no_flags(tmp_path):
    found = read(tmp_path / "none")
    assert (found.name, found.extensions) == ("", ())
    assert str(found) == "unknown processor (no extension)"
