from groupvit.photographs.bundled import PHOTOGRAPHS


def test_a_page_is_made_and_told(run, model, tmp_path):
    out = tmp_path / "page"
    settings = ("--num", 1, "--scenes", 2, "--size", 24, "--seed", 4, "--out", out)
    code, printed, complaint = run("demo", "--model", model, "--scenes-model", model, *settings)
    assert (code, complaint) == (0, "")
    assert f"open in a browser: {out / 'demo.html'}" in printed
    assert "oracle of stage 2" in printed
    text = (out / "demo.html").read_text()
    assert text.count("<article") == len(PHOTOGRAPHS) + 1
    assert "Scores on 2 drawn scenes" in text
    assert "drawn with seed 4" in text


def test_an_older_page_is_replaced(run, model, tmp_path):
    (tmp_path / "demo.html").write_text("old")
    settings = ("--num", 1, "--scenes", 1, "--size", 24, "--out", tmp_path)
    assert run("demo", "--model", model, "--scenes-model", model, *settings)[0] == 0
    assert (tmp_path / "demo.html").read_text().startswith("<!doctype html>")


def test_mistakes_are_told_before_a_model_is_loaded(run):
    code, _, complaint = run("demo", "--model", "no-such-model", "--size", 4)
    assert (code, complaint) == (2, "groupvit: size is 4; give 16 to 512 pixels\n")
