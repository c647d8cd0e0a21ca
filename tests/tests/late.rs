//! The lateness model: legs with recorded probabilities, and its training matrix.

use anyhow::{Context, Result, ensure};
use std::fs;
use tradewind_core::{
    Executor, Millis, Source, Task,
    late::{LateModel, LateSpec, Leg},
    pack::{PackView, Sample, SectionKind},
    tensor::TensorData,
};
use tradewind_host::training::write_late_features;
use tradewind_tests::dist;

const HOUR: i64 = 3_600_000;
/// The first Monday of 1970.
const MONDAY: i64 = 4 * Millis::DAY;

#[test]
fn the_pack_answers_legs_as_it_was_recorded() -> Result<()> {
    let bytes = fs::read(dist("packs/late.pack")?)?;
    let view = PackView::parse(&bytes)?;
    let Task::Late(spec) = view.read(SectionKind::Task)? else { anyhow::bail!("the pack is for another task") };
    ensure!(spec.features == [Source::Hour, Source::Weekday, Source::Distance], "this test knows no other");
    let weights = &bytes[view.section(SectionKind::Weights).context("no weights")?];
    let mut executor = Executor::new(view.read(SectionKind::Plan)?, weights)?;
    let model = LateModel::new(spec, &executor)?;
    for Sample { inputs, outputs } in view.read::<Vec<Sample>>(SectionKind::Samples)? {
        let data = |name| inputs.iter().find(|tensor| tensor.name == name).map(|tensor| &tensor.data);
        let (Some(TensorData::Text(from)), Some(TensorData::Text(to)), Some(TensorData::F32(features))) =
            (data("from"), data("to"), data("features"))
        else {
            anyhow::bail!("inputs of other types");
        };
        let places = from.iter().zip(to);
        let legs = places.zip(features.as_chunks().0).map(|((from, to), &[hour, weekday, distance])| Leg {
            from,
            to,
            departs: Millis(MONDAY + weekday as i64 * Millis::DAY + hour as i64 * HOUR),
            utc_offset: 0,
            distance,
        });
        let legs: Vec<Leg<'_>> = legs.collect();
        let found = model.probabilities(&legs, &mut executor, weights)?;
        let [output] = outputs.as_slice() else { anyhow::bail!("not one output") };
        let TensorData::F32(expected) = &output.data else { anyhow::bail!("an output of another type") };
        ensure!(found.len() == expected.len());
        for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
            ensure!((found - expected).abs() < 1e-5, "leg {n}: {found}, not {expected}");
        }
    }
    Ok(())
}

#[test]
fn the_matrix_has_a_row_for_each_leg_and_a_bad_leg_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let legs = folder.path().join("legs.csv");
    let spec = LateSpec { features: vec![Source::Weekday, Source::Hour] };
    let header = "to,from,delay,departs,utc_offset,distance";
    fs::write(&legs, format!("{header}\nSEA,ORD,-3,{MONDAY},-360,2765\nORD,SEA,9,{MONDAY},60,2765\n"))?;
    ensure!(write_late_features(folder.path(), &spec, &legs)? == 2);
    let matrix = fs::read(folder.path().join("features.npy"))?;
    let values: Vec<f32> =
        matrix[matrix.len() - 16..].as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    ensure!(values == [6.0, 18.0, 0.0, 1.0], "{values:?}");
    ensure!(fs::read_to_string(folder.path().join("columns.json"))? == "[\"weekday\", \"hour\"]\n");

    fs::write(&legs, format!("{header}\nSEA,ORD,-3,{MONDAY},-360,-1\n"))?;
    let error = write_late_features(folder.path(), &spec, &legs).map_err(|error| error.to_string());
    ensure!(error.as_ref().is_err_and(|message| message.contains("row 1: a distance")), "{error:?}");
    Ok(())
}
