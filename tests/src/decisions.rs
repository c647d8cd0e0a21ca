//! Recorded requests: `tests/cases/rank`, and `tests/cases/decisions`, which use the reference snapshot.

use crate::{dist, root};
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use std::{fs, path::PathBuf};
use tradewind_core::{
    Digest, Millis,
    allocate::{AllocateRequest, AllocationPolicy, ShopOrder},
    exceptions::{ExceptionRequest, Policy},
    pack::{PackView, SectionKind},
    quote::QuoteRequest,
    rank::{RankRequest, RankTables},
    snapshot::Live,
};
use tradewind_json as json;

/// 4 December 2017, the time of the reference snapshot.
pub const ISSUED: Millis = Millis(1_512_345_600_000);
/// That afternoon.
pub const AFTERNOON: Millis = Millis(ISSUED.0 + 14 * 3_600_000);

/// Folder of the requests.
pub fn folder() -> PathBuf {
    root().join("tests/cases/decisions")
}

/// Reads the lines of a file of cases.
fn lines<T: DeserializeOwned>(file: &str) -> Result<Vec<T>> {
    let path = folder().join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Reads ranking requests with histories of real households.
///
/// # Errors
/// If the pack is not built, the file is missing, or a line is invalid.
pub fn rankings() -> Result<Vec<RankRequest>> {
    let pack = fs::read(dist("packs/recommend.pack")?)?;
    let catalog = PackView::parse(&pack)?.copied_columns::<RankTables>(SectionKind::Tables)?.catalog;
    let requests = lines::<json::RankRequest>("../rank/requests.jsonl")?.into_iter();
    requests.map(|request| Ok(request.message("recommend", &catalog)?)).collect()
}

/// Reads price requests for the snapshot with a root.
///
/// # Errors
/// If the file is missing, or a line is invalid.
pub fn quotes(root: Digest) -> Result<Vec<QuoteRequest>> {
    Ok(lines::<json::QuoteRequest>("quotes.jsonl")?.into_iter().map(|request| request.message(root)).collect())
}

/// Reads orders of that afternoon, in one request.
///
/// # Errors
/// As for [`quotes`].
pub fn orders(root: Digest) -> Result<AllocateRequest> {
    let orders = lines::<ShopOrder>("orders.jsonl")?;
    let policy: AllocationPolicy = serde_json::from_slice(&fs::read(folder().join("policy.json"))?)?;
    Ok(AllocateRequest {
        snapshot: root,
        at: AFTERNOON,
        orders,
        policy,
        live: Live::default(),
        previous: Vec::new(),
        late: None,
    })
}

/// Reads shipments of that morning, in one request.
///
/// # Errors
/// As for [`quotes`].
pub fn shipments(root: Digest) -> Result<ExceptionRequest> {
    let shipments = lines::<json::Shipment>("shipments.jsonl")?.into_iter().map(|shipment| Ok(shipment.message()?));
    Ok(ExceptionRequest {
        snapshot: Some(root),
        at: Millis(ISSUED.0 + 8 * 3_600_000),
        shipments: shipments.collect::<Result<_>>()?,
        policy: Policy::default(),
        limit: 1_000,
        ..ExceptionRequest::default()
    })
}
