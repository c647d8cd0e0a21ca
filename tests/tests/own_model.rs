//! `models/OWN_MODEL.md` is correct: its commands print its text, and its request works.

use anyhow::{Context, Result, ensure};
use std::{fs, process::Command};
use tradewind_core::{
    message::InferRequest,
    tensor::{Tensor, TensorData},
};
use tradewind_host::{Tradewind, Trust};
use tradewind_tests::{dist, module, root};

/// Parts of the output that differ between machines, keys and builds.
const VARYING: [&str; 8] = [" µs", " ms", " ns", " B", " KB", "bytes", "  root ", "  signed by "];

fn steady(line: &str) -> bool {
    !VARYING.iter().any(|word| line.contains(word))
}

#[test]
fn the_page_about_a_model_of_ones_own_holds() -> Result<()> {
    let page = fs::read_to_string(root().join("models/OWN_MODEL.md"))?;
    let mut ran = 0;
    for block in page.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").context("a block that does not end")?;
        let (command, printed) = block.split_once('\n').context("a command that prints nothing")?;
        let mut words = command.strip_prefix("$ ").context("a command begins with `$`")?.split(' ');
        let program = words.next().context("no program")?;
        let output = Command::new(root().join(program)).args(words).current_dir(root()).output()?;
        let found = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&output.stderr));
        let (found_lines, printed_lines) = (found.trim_end().lines(), printed.trim_end().lines());
        ensure!(found_lines.clone().count() == printed_lines.clone().count(), "`{command}` prints\n{found}");
        for (found, printed) in found_lines.zip(printed_lines) {
            ensure!(found == printed || !steady(printed), "`{command}` prints\n{found}\nand not\n{printed}");
        }
        ran += 1;
    }
    ensure!(ran == 3, "the page has {ran} commands");
    request()
}

/// The page's request: a household that has just ordered, and one that has not for four months.
fn request() -> Result<()> {
    let tradewind = Tradewind::builder()
        .module(module()?)
        .signature(fs::read_to_string(dist("tradewind.wasm.sig")?)?)
        .trust(Trust::read(&[dist("keys/dev.pub")?])?)
        .pack(fs::read(dist("returns.pack")?)?)
        .build()?;
    let number = |name: &str, values: [f32; 2]| Tensor::new(name, vec![2, 1], TensorData::F32(values.to_vec()));
    let favourite = vec!["BEEF".into(), "FROZEN PIZZA".into()];
    let inputs = vec![
        number("days_since", [0.0, 125.0])?,
        number("orders_28", [9.0, 0.0])?,
        number("orders_84", [30.0, 0.0])?,
        number("units_per_order", [10.7, 10.0])?,
        Tensor::new("favourite", vec![2, 1], TensorData::Text(favourite))?,
    ];
    let outputs = tradewind.infer(&InferRequest { pack: "returns".into(), inputs })?;
    let TensorData::F32(probabilities) = &outputs[1].data else { anyhow::bail!("{outputs:?}") };
    ensure!(probabilities[1] > 0.99 && probabilities[3] < 0.3, "{probabilities:?}");
    Ok(())
}
