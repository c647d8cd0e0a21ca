//! `tradewind verify` and `tradewind run`, run as by a user.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tradewind_compiler::{read_tensor, write_tensor};
use tradewind_core::tensor::{Tensor, TensorData};
use tradewind_tests::{dist, root};

/// A classifier with integer labels and scores.
const CLASSIFIER: &str = "sklearn-logistic-binary";

fn tradewind(arguments: &[&dyn AsRef<Path>]) -> Result<Output> {
    let arguments = arguments.iter().map(|argument| argument.as_ref().as_os_str());
    Ok(Command::new(dist("tradewind")?).args(arguments).stdin(Stdio::null()).output()?)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn corpus(case: &str) -> PathBuf {
    root().join("tests/cases/onnx").join(case)
}

/// Copies a case: its model and its first data set.
fn copy_case(from: &Path, to: &Path) -> Result<()> {
    let set = "test_data_set_0";
    fs::create_dir_all(to.join(set))?;
    fs::copy(from.join("model.onnx"), to.join("model.onnx"))?;
    for file in fs::read_dir(from.join(set))? {
        let file = file?;
        fs::copy(file.path(), to.join(set).join(file.file_name()))?;
    }
    Ok(())
}

fn alter(file: &Path, change: impl Fn(&mut Tensor)) -> Result<()> {
    let mut tensor = read_tensor(&fs::read(file)?)?;
    change(&mut tensor);
    Ok(fs::write(file, write_tensor(&tensor, None)?)?)
}

#[test]
fn each_case_is_ok_refused_or_wrong_and_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    copy_case(&corpus(CLASSIFIER), &at("a-good"))?;
    copy_case(&corpus("two-tower-reduce-sum"), &at("b-refused"))?;
    let good = tradewind(&[&"verify", &folder.path()])?;
    ensure!(good.status.success(), "a refused case is no failure: {}", stderr(&good));
    ensure!(stdout(&good).ends_with("1 ok, 1 refused, 0 wrong\n"), "{}", stdout(&good));
    ensure!(stdout(&good).starts_with("a-good ok\nb-refused refused: "), "{}", stdout(&good));

    copy_case(&corpus(CLASSIFIER), &at("c-wrong"))?;
    alter(&at("c-wrong/test_data_set_0/output_1.pb"), |scores| {
        if let TensorData::F32(scores) = &mut scores.data {
            scores[2] += 0.01;
        }
    })?;
    let wrong = tradewind(&[&"verify", &folder.path()])?;
    ensure!(wrong.status.code() == Some(1), "{:?}", wrong.status);
    let text = stdout(&wrong);
    let line = text.lines().find(|line| line.starts_with("c-wrong")).context("no line for c-wrong")?;
    for words in ["c-wrong wrong: test_data_set_0: `", "[1, 0] is ", " instead of "] {
        ensure!(line.contains(words), "`{words}` is not in {line}");
    }

    let json = tradewind(&[&"verify", &"--json", &folder.path()])?;
    let document: Value = serde_json::from_slice(&json.stdout)?;
    ensure!(json.status.code() == Some(1) && document["ok"] == 1 && document["refused"] == 1 && document["wrong"] == 1);
    let cases = document["cases"].as_array().context("no cases")?;
    ensure!(cases[0]["name"] == "a-good" && cases[0]["outcome"] == "ok" && cases[0]["seconds"].is_f64());
    ensure!(cases[1]["reason"].is_string() && cases[2]["difference"].is_string(), "{document}");
    Ok(())
}

#[test]
fn a_case_that_lacks_a_file_is_unusable() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let case = folder.path().join("case");
    copy_case(&corpus(CLASSIFIER), &case)?;
    let output = case.join("test_data_set_0/output_1.pb");
    fs::write(&output, b"no tensor")?;
    let damaged = tradewind(&[&"verify", &case])?;
    ensure!(damaged.status.code() == Some(2) && stdout(&damaged).contains("output_1.pb"), "{}", stdout(&damaged));
    fs::remove_file(&output)?;
    let missing = tradewind(&[&"verify", &case])?;
    ensure!(missing.status.code() == Some(2) && stdout(&missing).contains("output_1.pb"), "{}", stdout(&missing));
    let nothing = tradewind(&[&"verify", &folder.path().join("case/test_data_set_0")])?;
    ensure!(!nothing.status.success() && stderr(&nothing).contains("contains no case"), "{}", stderr(&nothing));
    Ok(())
}

#[test]
fn written_outputs_are_what_the_case_expects() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // f64 rows: outputs are written with the model's declared types.
    let (case, out) = (corpus("trees-input-f64"), folder.path().join("out"));
    let run = tradewind(&[&"verify", &"--out", &out, &case])?;
    ensure!(stdout(&run).lines().count() == 2, "{}", stdout(&run));
    let again = folder.path().join("again");
    copy_case(&case, &again)?;
    for file in fs::read_dir(out.join("trees-input-f64/test_data_set_0"))? {
        let file = file?;
        fs::copy(file.path(), again.join("test_data_set_0").join(file.file_name()))?;
    }
    let run = tradewind(&[&"verify", &again])?;
    ensure!(stdout(&run).starts_with("again ok\n"), "{}", stdout(&run));
    Ok(())
}

#[test]
fn inputs_that_determine_a_shape_are_bound_when_asked_for() -> Result<()> {
    let case = root().join("tests/cases/node/reshape");
    let free = tradewind(&[&"verify", &case])?;
    ensure!(free.status.success() && stdout(&free).contains("`shape`, which `--bind`"), "{}", stdout(&free));
    let bound = tradewind(&[&"verify", &"--bind", &case])?;
    ensure!(stdout(&bound) == "reshape ok (bound: shape)\n1 ok, 0 refused, 0 wrong\n", "{}", stdout(&bound));
    Ok(())
}

#[test]
fn data_is_read_from_each_kind_of_file_and_answers_are_the_recorded_ones() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = corpus(CLASSIFIER).join("model.onnx");
    let set = corpus(CLASSIFIER).join("test_data_set_0");
    let input = read_tensor(&fs::read(set.join("input_0.pb"))?)?;
    let scores = read_tensor(&fs::read(set.join("output_1.pb"))?)?;
    let (TensorData::F32(values), TensorData::F32(expected)) = (&input.data, &scores.data) else {
        anyhow::bail!("{input:?}");
    };
    let rows: Vec<&[f32]> = values.chunks(input.shape[1] as usize).collect();

    let json = folder.path().join("rows.json");
    fs::write(&json, serde_json::to_vec(&serde_json::json!({ &input.name: rows }))?)?;
    let csv = folder.path().join("rows.csv");
    let header: Vec<String> = (0..rows[0].len()).map(|n| format!("z{}", 9 - n)).collect();
    let lines = rows.iter().map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    fs::write(&csv, std::iter::once(header.join(",")).chain(lines).collect::<Vec<_>>().join("\n"))?;
    let objects = folder.path().join("objects.json");
    let object = |row: &&[f32]| {
        let fields: Vec<String> = header.iter().zip(*row).map(|(name, x)| format!("\"{name}\": {x:?}")).collect();
        format!("{{{}}}", fields.join(", "))
    };
    fs::write(&objects, format!("[{}]", rows.iter().map(object).collect::<Vec<_>>().join(",")))?;

    for file in [&json, &csv, &objects] {
        let run = tradewind(&[&"run", &model, &"--input", file, &"--json"])?;
        ensure!(run.status.success(), "{}: {}", file.display(), stderr(&run));
        let document: Value = serde_json::from_slice(&run.stdout)?;
        ensure!(document["rows"] == rows.len() && document["pack_bytes"].is_u64(), "{document}");
        let found: Vec<Vec<f32>> = serde_json::from_value(document["outputs"][&scores.name].clone())?;
        let close = found.concat().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        ensure!(close && found.len() == rows.len(), "{}: {found:?} instead of {expected:?}", file.display());
    }

    // .npz output can be read as input of another run.
    let npz = folder.path().join("out.npz");
    let run = tradewind(&[&"run", &model, &"--input", &json, &"--out", &npz])?;
    let text = stdout(&run);
    for words in [scores.name.as_str(), "a row ", "warm", "pack ", "bytes"] {
        ensure!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    let misnamed = tradewind(&[&"run", &model, &"--input", &npz])?;
    let message = stderr(&misnamed);
    ensure!(!misnamed.status.success() && message.contains(&input.name) && message.contains(&scores.name), "{message}");
    Ok(())
}

#[test]
fn data_that_does_not_fit_is_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = corpus(CLASSIFIER).join("model.onnx");
    let name = read_tensor(&fs::read(corpus(CLASSIFIER).join("test_data_set_0/input_0.pb"))?)?.name;
    let data = folder.path().join("data.json");
    for (text, words) in [
        (format!(r#"{{"{name}": [[1, 2]]}}"#), "integer [1, 2]; the model takes f32 [rows, "),
        (format!(r#"{{"{name}": [["a", "b"]]}}"#), "text [1, 2]; the model takes f32 [rows, "),
        (format!(r#"{{"{name}": [[1, 2], [3]]}}"#), "lists have 2 and 1 elements"),
        ("[]".to_owned(), "at least one row object"),
    ] {
        fs::write(&data, &text)?;
        let run = tradewind(&[&"run", &model, &"--input", &data])?;
        ensure!(!run.status.success() && stderr(&run).contains(words), "{text}: {}", stderr(&run));
    }
    let refused = root().join("tests/cases/refused/unknown-domain.onnx");
    let run = tradewind(&[&"run", &refused, &"--input", &data])?;
    ensure!(!run.status.success() && stderr(&run).contains("FancyRank"), "{}", stderr(&run));
    Ok(())
}

#[test]
fn a_reader_that_leaves_early_is_no_error() -> Result<()> {
    let (pack, key) = (dist("packs/recommend.pack")?, dist("keys/dev.pub")?);
    let mut child = Command::new(dist("tradewind")?)
        .arg("inspect")
        .arg(&pack)
        .arg("--trust")
        .arg(&key)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
    Ok(())
}

#[test]
fn the_number_of_rows_is_that_of_the_whole_batch() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let set = folder.path().join("test_data_set_0");
    fs::create_dir(&set)?;
    fs::copy(corpus("rows-as-a-divisor").join("model.onnx"), folder.path().join("model.onnx"))?;
    // More rows than a tile, and than the default maximum of a joint model.
    let x: Vec<f32> = (0..900).map(|n| n as f32 - 450.0).collect();
    let by_rows: Vec<f32> = x.iter().map(|x| x / 300.0).collect();
    let by_size: Vec<f32> = x.iter().map(|x| x / 900.0).collect();
    for (file, data) in [("input_0", x), ("output_0", by_rows), ("output_1", by_size)] {
        let tensor = Tensor::new(file, [300, 3], TensorData::F32(data))?;
        fs::write(set.join(file).with_extension("pb"), write_tensor(&tensor, None)?)?;
    }
    let output = tradewind(&[&"verify", &folder.path()])?;
    ensure!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    Ok(())
}

#[test]
fn a_model_that_would_run_away_is_refused_with_its_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pack = folder.path().join("pack");
    for (model, node) in [("many-constants", "`c1`"), ("pad-far", "`c`"), ("slice-far", "`y`")] {
        let path = root().join("tests/fuzz/corpus/model").join(model).with_extension("onnx");
        let output = tradewind(&[&"pack", &path, &"--unsigned", &"--out", &pack])?;
        let words = stderr(&output);
        ensure!(!output.status.success() && words.contains(node) && words.contains("elements"), "{model}: {words}");
    }
    Ok(())
}
