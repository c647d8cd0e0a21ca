//! One decision, in each runtime: the module under wasmtime, under V8, and the core natively.
//!
//! The runtimes answer the same requests, and their answers are compared before anything is timed.
//! What is measured includes encoding, the call and decoding: what a shell waits for. For V8 it
//! includes a pipe to another process, which no browser has.

use anyhow::{Context, Result, ensure};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::fs;
use tradewind_core::{
    guest::{Client, Guest},
    message::InferRequest,
    rank::RankRequest,
};
use tradewind_host::json;
use tradewind_tests::{PACK, cases, dist, pack_of, root, runtimes};

/// Models of each kind; their largest data set is one batch.
const MODELS: [&str; 3] = ["mlp-gemm-relu", "lightgbm-regression", "two-tower-matmul"];

type AnyClient = Client<Box<dyn Guest<Error = anyhow::Error>>>;

fn benchmark(criterion: &mut Criterion) {
    if let Err(error) = rank(criterion).and_then(|()| infer(criterion)) {
        eprintln!("{error:#}");
        std::process::exit(1);
    }
}

fn clients(pack: &[u8]) -> Result<Vec<(&'static str, AnyClient)>> {
    let mut clients = Vec::new();
    for runtime in runtimes()? {
        let mut client = Client::new(runtime.guest);
        client.load(pack).map_err(anyhow::Error::msg)?;
        clients.push((runtime.name, client));
    }
    Ok(clients)
}

/// The first real household of the corpus, its profile as a page would send it.
fn request() -> Result<RankRequest> {
    let requests = fs::read_to_string(root().join("tests/cases/rank/requests.jsonl"))?;
    let request: json::RankRequest = serde_json::from_str(requests.lines().next().context("no requests")?)?;
    Ok(request.message("recommend", &Default::default())?)
}

fn rank(criterion: &mut Criterion) -> Result<()> {
    let mut clients = clients(&fs::read(dist("packs/recommend.pack")?)?)?;
    let request = request()?;
    let mut orders = Vec::new();
    for (_, client) in &mut clients {
        let ranking = client.rank(request.clone()).map_err(anyhow::Error::msg)?;
        orders.push(ranking.items.into_iter().map(|item| item.sku).collect::<Vec<_>>());
    }
    ensure!(orders.windows(2).all(|pair| pair[0] == pair[1]), "the runtimes rank differently");
    let mut group = criterion.benchmark_group("rank");
    for (name, client) in &mut clients {
        group.bench_function(*name, |bencher| {
            bencher.iter_batched(|| request.clone(), |request| client.rank(request).is_ok(), BatchSize::SmallInput);
        });
    }
    group.finish();
    Ok(())
}

fn infer(criterion: &mut Criterion) -> Result<()> {
    for case in cases()?.iter().filter(|case| MODELS.contains(&case.name.as_str())) {
        let set =
            case.sets.iter().max_by_key(|set| set.inputs.first().map_or(0, |input| input.rows())).context("no set")?;
        let request = InferRequest { pack: PACK.into(), inputs: set.inputs.clone() };
        let mut group = criterion.benchmark_group(format!("{} × {}", case.name, set.inputs[0].rows()));
        for (name, mut client) in clients(&pack_of(case)?)? {
            group.bench_function(name, |bencher| {
                bencher.iter_batched(
                    || request.clone(),
                    |request| client.infer(request).is_ok(),
                    BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
    Ok(())
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
