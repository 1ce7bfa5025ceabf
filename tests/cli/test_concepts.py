def test_a_page_and_a_table_tell_what_groups_stand_for(run, model, photos, tmp_path):
    out = tmp_path / "out"
    arguments = ("--labels", "sky", "dog", "--examples", 2, "--out", out)
    code, printed, complaint = run("concepts", photos, "--model", model, *arguments)
    assert (code, complaint) == (0, "")
    assert "nearest words" in printed
    assert str(out / "concepts.html") in printed
    assert "Stage 2" in (out / "concepts.html").read_text()


def test_mistakes_are_answered_before_a_model_is_loaded(run, photos, tmp_path):
    missing = ("--model", "no-such-model", "--out", tmp_path / "out")
    told = run("concepts", photos, "--labels", "sky", "sky", *missing)[2]
    assert "the label 'sky' is given twice" in told
    told = run("concepts", photos, "--labels", "sky", "--examples", 0, *missing)[2]
    assert "--examples is 0; give at least 1" in told
    told = run("concepts", photos / "nowhere", "--labels", "sky", *missing)[2]
    assert "nowhere" in told
