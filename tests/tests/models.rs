//! Users' models in the `tradewind` command: inputs with defaults, open axes, external data, and tables whose cells are
//! read by the model's types.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tradewind_compiler::{read_tensor, write_tensor};
use tradewind_core::tensor::{Tensor, TensorData};
use tradewind_tests::{dist, root};

fn tradewind<const N: usize>(arguments: [&dyn AsRef<Path>; N]) -> Result<Output> {
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

fn tensor(case: &str, file: &str) -> Result<Tensor> {
    Ok(read_tensor(&fs::read(corpus(case).join("test_data_set_0").join(file))?)?)
}

fn floats(tensor: &Tensor) -> Result<&[f32]> {
    match &tensor.data {
        TensorData::F32(values) => Ok(values),
        other => anyhow::bail!("{other:?}"),
    }
}

/// Copies a folder with its contents.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Output of `tradewind run` as JSON, for this text as data.
fn run(model: &Path, data: &Path, text: &[u8], bind: &[&str]) -> Result<Value> {
    fs::write(data, text)?;
    let mut command = Command::new(dist("tradewind")?);
    command.arg("run").arg(model).arg("--input").arg(data).arg("--json");
    let output = command.args(bind.iter().flat_map(|axis| ["--bind", axis])).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", stderr(&output));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn refused(model: &Path, data: &Path, text: &[u8], words: &[&str]) -> Result<()> {
    let Err(error) = run(model, data, text, &[]) else { anyhow::bail!("it runs: {}", String::from_utf8_lossy(text)) };
    let message = error.to_string();
    let missing: Vec<_> = words.iter().filter(|words| !message.contains(*words)).collect();
    ensure!(missing.is_empty(), "{message} does not say {missing:?} for {}", String::from_utf8_lossy(text));
    Ok(())
}

fn close(found: &Value, expected: &[f32]) -> Result<()> {
    fn leaves(value: &Value, found: &mut Vec<f64>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
            leaf => found.push(leaf.as_f64().unwrap_or(f64::NAN)),
        }
    }
    let mut numbers = Vec::new();
    leaves(found, &mut numbers);
    let same = numbers.len() == expected.len()
        && numbers.iter().zip(expected).all(|(a, b)| (a - f64::from(*b)).abs() <= 1e-5 * f64::from(b.abs()).max(1.0));
    ensure!(same, "{numbers:?} instead of {expected:?}");
    Ok(())
}

#[test]
fn an_input_with_a_default_takes_what_is_given_and_else_its_default() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, data) = (corpus("default-overridden").join("model.onnx"), folder.path().join("data.json"));
    // y = x · scale + shift + offset, with the defaults [1, 2, 3], 10 and 0.
    let found = run(&model, &data, br#"{"x": [[1, 1, 1], [0, -1, 2]]}"#, &[])?;
    close(&found["outputs"]["y"], &[11.0, 12.0, 13.0, 10.0, 8.0, 16.0])?;
    ensure!(found["notes"].to_string().contains("`offset`, `scale`, `shift`"), "{}", found["notes"]);
    let found = run(&model, &data, br#"{"x": [[1, 1, 1], [0, -1, 2]], "scale": [5, 0, -1]}"#, &[])?;
    close(&found["outputs"]["y"], &[15.0, 10.0, 9.0, 10.0, 10.0, 8.0])?;
    let found = run(&model, &data, br#"{"x": [[1, 1, 1], [0, -1, 2]], "offset": [[1], [2]]}"#, &[])?;
    close(&found["outputs"]["y"], &[12.0, 13.0, 14.0, 12.0, 10.0, 18.0])?;
    refused(
        &model,
        &data,
        br#"{"x": [[1, 1, 1]], "scal": [5, 0, -1]}"#,
        &["no input `scal`", "it takes `offset`, `scale`, `shift`, `x`"],
    )?;

    // A pack has the inputs of its recorded samples; a sample without one uses the default.
    let case = folder.path().join("case");
    copy(&corpus("default-overridden"), &case)?;
    fs::write(case.join("pack.json"), r#"{"name": "shop", "version": "1", "task": "infer"}"#)?;
    let set = case.join("test_data_set_2");
    let set_tensor = |name: &str, shape: Vec<u32>, values: &[f32]| -> Result<Vec<u8>> {
        Ok(write_tensor(&Tensor::new(name, shape, TensorData::F32(values.to_vec()))?, None)?)
    };
    fs::remove_dir_all(&set)?;
    fs::create_dir(&set)?;
    fs::write(set.join("input_0.pb"), set_tensor("x", vec![1, 3], &[1.0, 1.0, 1.0])?)?;
    fs::write(set.join("output_0.pb"), set_tensor("y", vec![1, 3], &[11.0, 12.0, 13.0])?)?;
    let verified = tradewind([&"verify", &case])?;
    ensure!(stdout(&verified).starts_with("case ok"), "{}", stdout(&verified));
    let pack = folder.path().join("shop.pack");
    let ports = || -> Result<Vec<String>> {
        let shown = stdout(&tradewind([&"inspect", &pack, &"--unsigned"])?);
        let inputs = shown.lines().filter_map(|line| line.trim().strip_prefix("input "));
        Ok(inputs.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    };
    let packed = tradewind([&"pack", &case, &"--unsigned", &"--out", &pack])?;
    // An offset of one row does not fit a batch, so the sample of one row does not determine its shape.
    ensure!(packed.status.success(), "{}", stderr(&packed));
    ensure!(stdout(&packed).contains("3 recorded samples match"), "{}", stdout(&packed));
    ensure!(
        stdout(&packed).contains("became constants (`--override` makes them inputs): `shift`"),
        "{}",
        stdout(&packed)
    );
    ensure!(ports()? == ["x", "scale", "offset"], "{:?}", ports()?);

    // Without samples, only named inputs.
    let packed = tradewind([&"pack", &model, &"--unsigned", &"--override", &"shift", &"--out", &pack])?;
    ensure!(packed.status.success() && ports()? == ["x", "shift"], "{} {:?}", stderr(&packed), ports()?);
    let unknown = tradewind([&"pack", &model, &"--unsigned", &"--override", &"shft", &"--out", &pack])?;
    ensure!(stderr(&unknown).contains("`shft` cannot be overridden (inputs with a default: `offset`, `scale`"));
    Ok(())
}

#[test]
fn recorded_tensors_that_the_model_does_not_take_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let extra = |name: &str| -> Result<Vec<u8>> {
        Ok(write_tensor(&Tensor::new(name, vec![1], TensorData::F32(vec![1.0]))?, None)?)
    };
    for (name, file, bytes, words) in [
        (
            "unknown",
            "input_3.pb",
            extra("scal")?,
            "input_3.pb`: the model has no input `scal`; the model takes `offset`",
        ),
        ("twice", "input_3.pb", extra("scale")?, "input_3.pb`: it is a second tensor for the input `scale`"),
        ("gap", "input_4.pb", extra("shift")?, "input_4.pb`: input_3.pb is missing before it"),
        ("output", "output_1.pb", extra("z")?, "output_1.pb` is an extra output"),
        ("output-gap", "output_2.pb", extra("z")?, "output_2.pb`: output_1.pb is missing before it"),
    ] {
        copy(&corpus("default-overridden"), &at(name))?;
        fs::write(at(name).join("test_data_set_0").join(file), bytes)?;
        let verified = tradewind([&"verify", &at(name)])?;
        ensure!(verified.status.code() == Some(2) && stdout(&verified).contains(words), "{}", stdout(&verified));
        fs::write(at(name).join("pack.json"), r#"{"name": "shop", "version": "1", "task": "infer"}"#)?;
        let packed = tradewind([&"pack", &at(name), &"--unsigned", &"--out", &at("shop.pack")])?;
        let message = stderr(&packed);
        let said = if name == "output" { "the model does not give `z`" } else { words };
        ensure!(!packed.status.success() && message.contains(said), "{name}: {message}");
    }
    copy(&corpus("default-overridden"), &at("sets"))?;
    fs::rename(at("sets/test_data_set_1"), at("sets/test_data_set_7"))?;
    let verified = tradewind([&"verify", &at("sets")])?;
    ensure!(stdout(&verified).contains("test_data_set_2`: test_data_set_1 is missing before it"));
    Ok(())
}

/// Rows of the case `text-of-digits`: area, age, member, account.
fn rows() -> Result<Vec<(String, f32, bool, i64)>> {
    let case = "text-of-digits";
    let inputs: Vec<TensorData> =
        (0..4).map(|n| Ok(tensor(case, &format!("input_{n}.pb"))?.data)).collect::<Result<_>>()?;
    let [TensorData::Text(areas), TensorData::F32(ages), TensorData::Bool(members), TensorData::I64(accounts)] =
        &inputs[..]
    else {
        anyhow::bail!("{inputs:?}")
    };
    let rows = areas.iter().zip(ages).zip(members).zip(accounts);
    Ok(rows.map(|(((area, age), member), account)| (area.clone(), *age, *member != 0, *account)).collect())
}

#[test]
fn cells_are_read_by_the_types_of_the_model_and_not_trimmed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, csv) = (corpus("text-of-digits").join("model.onnx"), folder.path().join("rows.csv"));
    let (rows, json) = (rows()?, folder.path().join("rows.json"));
    let expected = tensor("text-of-digits", "output_0.pb")?;
    let expected = floats(&expected)?;
    let next: Vec<i64> = rows.iter().map(|(.., account)| account + 1).collect();
    let quoted = |area: &str| format!("\"{area}\"");
    let bare = |area: &str| area.to_owned();
    let truths: [fn(bool) -> &'static str; 4] = [
        |x| if x { "true" } else { "false" },
        |x| if x { "True" } else { "False" },
        |x| if x { "TRUE" } else { "FALSE" },
        |x| if x { "1" } else { "0" },
    ];
    for (n, truth) in truths.into_iter().enumerate() {
        let area: &dyn Fn(&str) -> String = if n % 2 == 0 { &quoted } else { &bare };
        let lines = rows
            .iter()
            .map(|(name, age, member, account)| format!("{account},{},ignored,{age},{}", area(name), truth(*member)));
        let end = if n == 1 { "\r\n" } else { "\n" };
        let text: Vec<String> = std::iter::once("account,area,note,age,member".to_owned()).chain(lines).collect();
        let mark = if n == 2 { "\u{feff}" } else { "" };
        let found = run(&model, &csv, format!("{mark}{}{end}", text.join(end)).as_bytes(), &[])?;
        close(&found["outputs"]["probability"], expected)?;
        ensure!(found["outputs"]["next account"] == json!(next.iter().map(|x| [x]).collect::<Vec<_>>()), "{found}");
        ensure!(found["notes"].to_string().contains("columns that the model does not use: `note`"), "{found}");
    }
    let objects: Vec<Value> = rows
        .iter()
        .map(|(area, age, member, account)| json!({"area": area, "age": age, "member": member, "account": account}))
        .collect();
    let found = run(&model, &json, &serde_json::to_vec(&objects)?, &[])?;
    close(&found["outputs"]["probability"], expected)?;
    ensure!(found["outputs"]["next account"] == json!(next.iter().map(|x| [x]).collect::<Vec<_>>()), "{found}");
    Ok(())
}

#[test]
fn a_cell_that_is_not_of_the_type_of_the_model_is_told_by_row_and_column() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, csv) = (corpus("text-of-digits").join("model.onnx"), folder.path().join("rows.csv"));
    let header = "area,age,member,account";
    // An empty number is missing, and an integer may be written as a float.
    let found = run(&model, &csv, format!("{header}\n007,,1.0,4.0\n").as_bytes(), &[])?;
    ensure!(found["outputs"]["probability"] == json!([[null]]), "{found}");
    ensure!(found["outputs"]["next account"] == json!([[5]]), "{found}");
    for (text, words) in [
        ("area,age,member,account\na,1,0,1\na,young,0,1\n", &["input `age`", "row 2", "`young` is not a number"][..]),
        ("area,age,member,account\na,1,0,\n", &["input `account`", "row 1", "missing integer"]),
        ("area,age,member,account\na,1,0,1.5\n", &["input `account`", "1.5 is not an integer"]),
        ("area,age,member,account\na,1,0,9007199254740993.0\n", &["input `account`", "write all its digits"]),
        ("area,age,member,account\na,1,0,9223372036854775808\n", &["input `account`", "row 1"]),
        ("area,age,member,account\na,1,2,1\n", &["input `member`", "2 is not a boolean"]),
        ("area,age,member,account\na,1e39,1,1\n", &["input `age`", "1e39", "beyond f32"]),
        ("area, age,member,account\na,1,1,1\n", &["the model takes `age`", "` age`"]),
        ("area,age,member,account,age\na,1,1,1,2\n", &["two columns named `age`"]),
        ("area,age,member,account\na,1,1\n", &["3"]),
    ] {
        refused(&model, &csv, text.as_bytes(), words)?;
    }
    let json = folder.path().join("rows.json");
    for (text, words) in [
        (r#"[{"area": 7, "age": 1, "member": true, "account": 1}]"#, &["input `area`", "the number 7 is not text"][..]),
        (r#"[{"area": null, "age": 1, "member": true, "account": 1}]"#, &["input `area`", "null is not text"]),
        (
            r#"[{"area": "a", "age": "1", "member": true, "account": 1}]"#,
            &["input `age`", "the text `1` is not a number"],
        ),
        (
            r#"[{"area": "a", "age": 1, "member": true, "account": 1},
                {"area": "a", "age": 1, "member": true, "account": 1, "accounts": 2}]"#,
            &["row 2 has `accounts`, which row 1 lacks"],
        ),
    ] {
        refused(&model, &json, text.as_bytes(), words)?;
    }
    Ok(())
}

#[test]
fn data_beside_the_model_is_read_where_it_lies() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let case = "data-beside-the-model";
    copy(&corpus(case), &at("case"))?;
    let verified = tradewind([&"verify", &at("case")])?;
    ensure!(stdout(&verified).starts_with("case ok"), "{}", stdout(&verified));
    let packed = tradewind([&"pack", &at("case/model.onnx"), &"--unsigned", &"--out", &at("m.pack")])?;
    ensure!(packed.status.success(), "{}", stderr(&packed));
    let x = tensor(case, "input_0.pb")?;
    let rows: Vec<&[f32]> = floats(&x)?.chunks(4).collect();
    let found = run(&at("case/model.onnx"), &at("x.json"), &serde_json::to_vec(&json!({ "x": rows }))?, &[])?;
    close(&found["outputs"]["y"], floats(&tensor(case, "output_0.pb")?)?)?;
    // Without a folder, external data cannot be read.
    let compiled = tradewind_compiler::compile(&fs::read(at("case/model.onnx"))?, &Default::default());
    ensure!(compiled.is_err_and(|refusal| refusal.to_string().contains("`model.onnx.data`, which must lie beside")));

    let whole = fs::read(at("case/model.onnx.data"))?;
    fs::write(at("case/model.onnx.data"), &whole[..whole.len() - 1])?;
    let short = tradewind([&"pack", &at("case/model.onnx"), &"--unsigned", &"--out", &at("m.pack")])?;
    ensure!(stderr(&short).contains("check that the file is complete"), "{}", stderr(&short));
    fs::remove_file(at("case/model.onnx.data"))?;
    let missing = tradewind([&"pack", &at("case/model.onnx"), &"--unsigned", &"--out", &at("m.pack")])?;
    ensure!(stderr(&missing).contains("model.onnx.data`: No such file"), "{}", stderr(&missing));
    let verified = tradewind([&"verify", &at("case")])?;
    ensure!(
        verified.status.code() == Some(2) && stdout(&verified).contains("model.onnx.data"),
        "{}",
        stdout(&verified)
    );

    // Files outside the folder are never read, for any path in the model.
    let onnx = fs::read(at("case/model.onnx"))?;
    fs::write(at("outside.data_"), &whole)?;
    let name = b"model.onnx.data";
    let absolute = at("outside.data_").display().to_string();
    ensure!(absolute.len() > name.len(), "{absolute}");
    let renamed = |to: &[u8; 15]| {
        let mut bytes = onnx.clone();
        while let Some(place) = bytes.windows(name.len()).position(|window| window == name) {
            bytes[place..place + name.len()].copy_from_slice(to);
        }
        bytes
    };
    for (to, words) in [
        (b"../outside.data", "`../outside.data`, outside the model's folder"),
        (b"/utside.onnx.da", "outside the model's folder"),
        (b"a/../../outside", "outside the model's folder"),
    ] {
        fs::write(at("case/model.onnx"), renamed(to))?;
        let packed = tradewind([&"pack", &at("case/model.onnx"), &"--unsigned", &"--out", &at("m.pack")])?;
        ensure!(!packed.status.success() && stderr(&packed).contains(words), "{}", stderr(&packed));
    }
    #[cfg(unix)]
    {
        fs::write(at("case/model.onnx"), &onnx)?;
        std::os::unix::fs::symlink(at("outside.data_"), at("case/model.onnx.data"))?;
        let linked = tradewind([&"pack", &at("case/model.onnx"), &"--unsigned", &"--out", &at("m.pack")])?;
        ensure!(stderr(&linked).contains("outside the model's folder"), "{}", stderr(&linked));
        fs::remove_file(at("case/model.onnx.data"))?;
        fs::write(at("case/inside"), &whole)?;
        std::os::unix::fs::symlink("inside", at("case/model.onnx.data"))?;
        let linked = tradewind([&"pack", &at("case/model.onnx"), &"--unsigned", &"--out", &at("m.pack")])?;
        ensure!(linked.status.success(), "{}", stderr(&linked));
    }
    Ok(())
}

#[test]
fn an_axis_without_an_extent_is_bound_by_name_or_by_input_and_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("ids.json");
    for (case, binds) in [
        ("gru-open-steps", &["ids[1]=12"][..]),
        ("transformer-open-steps", &["steps=12"]),
        ("transformer-open-steps", &["attention_mask[1]=12"]),
    ] {
        let model = corpus(case).join("model.onnx");
        let mut inputs = serde_json::Map::new();
        for n in 0..if case == "gru-open-steps" { 1 } else { 2 } {
            let tensor = tensor(case, &format!("input_{n}.pb"))?;
            let TensorData::I64(values) = &tensor.data else { anyhow::bail!("{tensor:?}") };
            inputs.insert(tensor.name.clone(), json!(values.chunks(12).collect::<Vec<_>>()));
        }
        let text = serde_json::to_vec(&inputs)?;
        refused(&model, &data, &text, &["axis 1 of input `ids`", "--bind \"ids[1]=50\""])?;
        let found = run(&model, &data, &text, binds)?;
        let outputs = if case == "gru-open-steps" { vec!["scores"] } else { vec!["states", "scores"] };
        for (n, name) in outputs.into_iter().enumerate() {
            close(&found["outputs"][name], floats(&tensor(case, &format!("output_{n}.pb"))?)?)?;
        }
        // Only the client pads shorter sequences.
        let short = json!({ "ids": [[1, 2, 3]], "attention_mask": [[1, 1, 1]] });
        let short = if case == "gru-open-steps" { json!({ "ids": [[1, 2, 3]] }) } else { short };
        let error = run(&model, &data, &serde_json::to_vec(&short)?, binds).err().context("a short sequence ran")?;
        ensure!(error.to_string().contains("[1, 3]; the model takes i64 [rows, 12]"), "{error}");

        let pack = folder.path().join("m.pack");
        let packed = tradewind([&"pack", &model, &"--unsigned", &"--out", &pack, &"--bind", &binds[0]])?;
        ensure!(packed.status.success(), "{}", stderr(&packed));
        let shown = stdout(&tradewind([&"inspect", &pack, &"--unsigned"])?);
        ensure!(shown.contains("i64 [rows, 12]"), "{shown}");

        let free = tradewind([&"verify", &corpus(case)])?;
        ensure!(
            stdout(&free).contains(" refused: ") && stdout(&free).contains("`--bind` without a value gives `ids[1]`")
        );
        let by_data = tradewind([&"verify", &"--bind", &corpus(case)])?;
        ensure!(stdout(&by_data).starts_with(&format!("{case} ok (bound: ")), "{}", stdout(&by_data));
        let by_hand = tradewind([&"verify", &corpus(case), &"--bind", &binds[0]])?;
        ensure!(stdout(&by_hand).starts_with(&format!("{case} ok\n")), "{}", stdout(&by_hand));
    }
    let model = corpus("transformer-open-steps").join("model.onnx");
    let pack = folder.path().join("m.pack");
    for (bind, words) in [
        ("tokens[1]=12", "`tokens[1]=12`: no input has this axis; axes without an extent: `ids[0]` (`batch`)"),
        ("ids[2]=12", "input `ids` has 2 axes, counted from 0, and no axis 2"),
        ("ids[1]=0", "one element or more"),
        ("ids=12", "no input has this axis"),
        ("ids[1]", "AXIS=NUMBER"),
        ("ids[1]=many", "`many` is not an integer"),
    ] {
        let packed = tradewind([&"pack", &model, &"--unsigned", &"--out", &pack, &"--bind", &bind])?;
        ensure!(!packed.status.success() && stderr(&packed).contains(words), "{bind}: {}", stderr(&packed));
    }
    let two =
        tradewind([&"pack", &model, &"--unsigned", &"--out", &pack, &"--bind", &"ids[1]=9", &"--bind", &"steps=8"])?;
    ensure!(stderr(&two).contains("the same axis as in `ids[1]=9`"), "{}", stderr(&two));
    Ok(())
}
