//! The module's interface: `core/ABI.md` matches the module.

use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, env, fs};
use tradewind_compiler::Precision;
use tradewind_core::{
    ABI_VERSION, BasisPoints, Catalog, Channel, Code, Currency, DECISIONS, Day, ErrorKind, Event, EventKind, Id, Line,
    Millis, Money, Part, Probability, Profile, Quantiles, Sku, SkuBits, SkuId, Source, Task, Unit,
    allocate::{
        self, AllocateRequest, Allocated, AllocatedOrder, AllocationPolicy, Breakdown, OrderShipment, OrderShortfall,
        Planned, ShopOrder,
    },
    columns::ColumnWriter,
    demand::{DemandSpec, PriceSpec},
    exceptions::{
        self, Action, Alternative, DataFault, Evidence, ExceptionKind, ExceptionRequest, ExceptionScore, Policy,
        Shipment, ShipmentLine, Step, Way,
    },
    forecast::ForecastRequest,
    insight::{self, Fact, Insight, InsightRequest, InsightSpec, Insights, Keep, Output, Rows, Rule, Subject},
    late::LateSpec,
    message::{
        self, Decision, Describe, Description, FAULT, Fault, InferRequest, LOADED, Loaded, PackInfo, PortInfo, SCORED,
        encode,
    },
    offer::{Offer, Week},
    pack::{ModelCard, SectionKind},
    plan::{
        self, Activation, Aggregate, AxisShape, BinaryOp, Cell, CompareOp, DType, Dim, GateFunction, Kernel, ReduceOp,
        TreeBlock, UnaryOp, View,
    },
    price_guard::{Bound, CoverPolicy, Floor, PriceGuard, Rounding},
    quote::{Objective, PriceReason, Quote, QuoteRequest},
    rank::{
        CandidateSpec, Constraints, Neighbour, ProductRow, ProductStats, RankRequest, RankSpec, RankTables, RankedItem,
        Ranking, Reason, SimilarProduct,
    },
    snapshot::{
        Booked, Forecast, Fulfilment, FulfilmentNode, Lane, ListedPrice, Live, LiveStock, NodeStock, PriceInputs,
        PricePoint, Prices, Pricing, Promise, Promotion, Region, SnapshotInfo, Stock, Storefront,
    },
    tensor::{Tensor, TensorData},
    tracking::{LaneTimes, Scan, State, StateTimes},
};
use tradewind_tests::{PACK, cases, dist, module, pack_at, pack_of, root};
use wasmtime::{Config, Engine, ExternType, Instance, Module, Store, StoreLimits, StoreLimitsBuilder, Val};

#[test]
fn the_module_imports_nothing_and_exports_what_the_page_lists() -> Result<()> {
    let engine = Engine::new(Config::new().wasm_relaxed_simd(false)).map_err(any)?;
    let module = Module::new(&engine, module()?).map_err(any)?;
    ensure!(module.imports().len() == 0, "the module imports {:?}", module.imports().next());

    let page = fs::read_to_string(root().join("core/ABI.md"))?;
    let listed: BTreeMap<String, String> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`').to_owned();
            let signature = cells.next()?.trim_matches('`').to_owned();
            let is_export = ["(", "memory", "global"].iter().any(|start| signature.starts_with(start));
            is_export.then_some((name, signature))
        })
        .collect();
    let exported: BTreeMap<String, String> =
        module.exports().map(|export| (export.name().to_owned(), signature(&export.ty()))).collect();
    for (name, signature) in &exported {
        let said = listed.get(name).with_context(|| format!("`{name}` is exported but not in the page"))?;
        ensure!(said == signature, "`{name}` is `{signature}`, the page says `{said}`");
    }
    ensure!(listed.len() == exported.len(), "the page lists {listed:?}, the module has {exported:?}");
    ensure!(page.contains(&format!("version {ABI_VERSION}")), "the page is for another version");
    Ok(())
}

fn signature(export: &ExternType) -> String {
    match export {
        ExternType::Func(function) => {
            let types = |types: Vec<String>| types.join(", ");
            let parameters = types(function.params().map(|kind| kind.to_string()).collect());
            let results = types(function.results().map(|kind| kind.to_string()).collect());
            format!("({parameters}) -> {}", if results.is_empty() { "()" } else { &results })
        }
        ExternType::Memory(memory) => match memory.maximum() {
            Some(pages) => format!("memory, at most {} MiB", pages / 16),
            None => "memory".into(),
        },
        ExternType::Global(global) => format!("global {}", global.content()),
        other => format!("{other:?}"),
    }
}

/// The module without a shell.
struct Bare {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Bare {
    fn start() -> Result<Self> {
        Self::within(&Module::new(&Engine::default(), module()?).map_err(any)?, usize::MAX)
    }

    /// Instantiates it with at most `memory` bytes.
    fn within(module: &Module, memory: usize) -> Result<Self> {
        let mut store = Store::new(module.engine(), StoreLimitsBuilder::new().memory_size(memory).build());
        store.limiter(|limits| limits);
        let instance = Instance::new(&mut store, module, &[]).map_err(any)?;
        Ok(Self { store, instance })
    }

    /// Allocates a buffer with these bytes; `None` if memory is exhausted.
    fn buffer(&mut self, bytes: &[u8]) -> Result<Option<u32>> {
        let pointer = self.call("alloc", &[bytes.len() as u32])?;
        let memory = self.instance.get_memory(&mut self.store, "memory").context("no memory")?;
        if pointer > 0 {
            memory.write(&mut self.store, pointer as usize, bytes)?;
        }
        Ok((pointer > 0).then_some(pointer))
    }

    /// Calls an export with these bytes; `None` if memory is exhausted for them or the reply.
    fn ask(&mut self, export: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(pointer) = self.buffer(bytes)? else { return Ok(None) };
        match self.call(export, &[pointer, bytes.len() as u32])? {
            0 => Ok(None),
            reply => self.reply(reply).map(Some),
        }
    }

    fn call(&mut self, export: &str, arguments: &[u32]) -> Result<u32> {
        let function = self.instance.get_func(&mut self.store, export).context("no such export")?;
        let arguments: Vec<Val> = arguments.iter().map(|&argument| Val::I32(argument as i32)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &arguments, &mut results).map_err(any)?;
        Ok(results.first().and_then(Val::i32).unwrap_or(0) as u32)
    }

    fn reply(&mut self, pointer: u32) -> Result<Vec<u8>> {
        let memory = self.instance.get_memory(&mut self.store, "memory").context("no memory")?;
        let data = memory.data(&self.store).get(pointer as usize..).context("a reply outside the memory")?;
        let (len, body) = data.split_first_chunk().context("a reply at the end of the memory")?;
        let body = body.get(..u32::from_le_bytes(*len) as usize).context("a reply past the end of the memory")?;
        Ok(body.to_vec())
    }
}

/// For any amount of memory the module replies, either correctly or that memory is exhausted.
#[test]
fn without_memory_the_answer_is_a_fault_and_never_a_trap() -> Result<()> {
    let module = Module::new(&Engine::default(), module()?).map_err(any)?;
    let case = |name: &str| cases()?.into_iter().find(|case| case.name == name).context("the case is gone");
    let (trees, table) = (case("lightgbm-multiclass")?, case("matrix-factorisation")?);
    let rank = message::request(&RankRequest::new("recommend", Millis(1_000), 5));
    let infer = |inputs: &[Tensor]| message::request(&InferRequest { pack: PACK.into(), inputs: inputs.to_vec() });
    let packs = [
        (fs::read(dist("packs/recommend.pack")?)?, rank),
        (pack_of(&trees)?, infer(&trees.sets[0].inputs)),
        (pack_at(&table, Precision::Int8)?, infer(&table.sets[0].inputs)),
    ];
    for (pack, request) in packs {
        let (mut faults, mut answers) = (0, 0);
        for memory in (0..).map(|step| (1 << 20) + step * (192 << 10)) {
            ensure!(memory < 128 << 20, "it is never enough");
            // Below its initial memory the module does not start.
            let Ok(mut module) = Bare::within(&module, memory) else { continue };
            let replies = [module.ask("load", &pack)?, module.ask("call", &request)?];
            let out_of_memory = |reply: &Option<Vec<u8>>| {
                let fault = reply.as_ref().map(|reply| message::fault(reply));
                let kinds = [ErrorKind::OutOfMemory, ErrorKind::UnknownPack];
                fault.is_none_or(|fault| fault.is_some_and(|fault| kinds.iter().any(|kind| fault.code == kind.code())))
            };
            if replies.iter().any(out_of_memory) {
                faults += 1;
                continue;
            }
            ensure!(replies.iter().flatten().all(|reply| message::fault(reply).is_none()), "{replies:?}");
            answers += 1;
            if answers == 8 {
                break;
            }
        }
        ensure!(faults > 0, "the memory was never too small");
    }
    Ok(())
}

/// The same for `score`, which allocates only its reply.
#[test]
fn without_memory_scores_are_a_fault_and_never_a_trap() -> Result<()> {
    let module = Module::new(&Engine::default(), module()?).map_err(any)?;
    let case = cases()?.into_iter().find(|case| case.name == "lightgbm-regression").context("the case is gone")?;
    let pack = pack_of(&case)?;
    let (len, rows) = (case.sets[0].inputs[0].data.len(), case.sets[0].inputs[0].rows());
    for memory in (0..64).map(|step| (1 << 20) + step * (64 << 10)) {
        let Ok(mut module) = Bare::within(&module, memory) else { continue };
        module.ask("load", &pack)?;
        let buffers = (module.buffer(&vec![0; 4 * len])?, module.buffer(&vec![0; 4 * rows])?);
        let (Some(columns), Some(scores)) = buffers else { continue };
        let bytes = |len: usize| 4 * len as u32;
        let reply = module.call("score", &[0, columns, bytes(len), rows as u32, scores, bytes(rows)])?;
        if reply > 0 {
            let reply = module.reply(reply)?;
            ensure!(message::fault(&reply).is_some() || message::body::<()>(&reply, SCORED).is_ok());
        }
    }
    Ok(())
}

fn any(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

#[test]
fn a_pointer_that_was_not_given_out_is_a_fault() -> Result<()> {
    let mut module = Bare::start()?;
    let given = module.call("alloc", &[16])?;
    ensure!(given.is_multiple_of(16) && given != 0);
    let strays = [(0, 8), (given + 1, 4), (given, 17), (given, u32::MAX), (u32::MAX, 1), (1 << 20, 0)];
    for (pointer, length) in strays {
        let replies = [
            module.call("load", &[pointer, length])?,
            module.call("call", &[pointer, length])?,
            module.call("score", &[0, pointer, length, 1, given, 4])?,
            module.call("score", &[0, given, 4, 1, pointer, length])?,
        ];
        module.call("dealloc", &[pointer.wrapping_add(1), length])?;
        for reply in replies {
            let fault = message::fault(&module.reply(reply)?).context("a stray pointer was answered")?;
            ensure!(fault.code == ErrorKind::BadPointer.code(), "{fault}");
        }
    }
    // A request beyond all possible memory gives a null pointer, not a trap.
    ensure!(module.call("alloc", &[u32::MAX])? == 0);
    ensure!(module.call("alloc", &[1_100 << 20])? == 0);
    ensure!(module.call("abi_version", &[])? == ABI_VERSION);
    Ok(())
}

/// The page about the interface lists all decisions.
#[test]
fn the_page_lists_every_decision() -> Result<()> {
    let page = fs::read_to_string(root().join("core/ABI.md"))?;
    let row = |line: &str| -> Option<(u32, String)> {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.parse().ok()?, cells.next()?.trim_matches('`').to_owned()))
    };
    let listed: Vec<_> = page.lines().filter_map(row).collect();
    let known: Vec<_> = DECISIONS.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
    ensure!(listed == known, "{listed:?}");
    ensure!(known.is_sorted_by(|a, b| a.0 < b.0), "numbers ascend");
    Ok(())
}

/// Bytes of one message of each kind. A difference means that a message changed; `core/ABI.md` says what follows. With
/// `TRADEWIND_RECORD` set they are recorded instead of compared.
#[test]
fn messages_have_the_bytes_of_this_version() -> Result<()> {
    let path = root().join("tests/cases/messages.txt");
    let mut found = String::from("# ABI ");
    found.push_str(&format!("{ABI_VERSION}: name and postcard bytes of one message of each kind\n"));
    for (name, bytes) in messages()? {
        found.push_str(&format!("{name} {}\n", tradewind_json::hex(&bytes)));
    }
    if env::var_os("TRADEWIND_RECORD").is_some() {
        fs::write(&path, found)?;
    } else {
        let golden = fs::read_to_string(&path)?;
        let differs = found.lines().zip(golden.lines()).find(|(found, golden)| found != golden);
        ensure!(found == golden, "messages have other bytes than tests/cases/messages.txt: {differs:?}");
    }
    Ok(())
}

/// One of each kernel, in their order.
fn kernels() -> Vec<Kernel> {
    let shape = vec![Dim::per_row(2), Dim::fixed(300)];
    let view = View { offset: Dim::fixed(1), strides: vec![Dim::fixed(2)] };
    let (left, right, over) = (view.clone(), view.clone(), vec![Dim::fixed(4)]);
    let axis = AxisShape { outer: Dim::per_row(1), axis: Dim::fixed(5), inner: Dim::fixed(1) };
    let (rows, picks) = (Dim::per_row(1), Dim::fixed(2));
    let recurrent = View { offset: Dim::fixed(0), strides: vec![Dim::fixed(9600), Dim::fixed(192), Dim::fixed(1)] };
    let blocks = vec![
        TreeBlock { trees: 2, columns: 3, slots: 300, steps: 9, bytes: 4 },
        TreeBlock { trees: 1, columns: 1, slots: 4, steps: 1, bytes: 0 },
    ];
    vec![
        plan::Fill { value: 1.5 }.into(),
        plan::Copy { shape: shape.clone(), source: left.clone(), target: right.clone() }.into(),
        plan::Cast.into(),
        plan::Unary { op: UnaryOp::IsInf }.into(),
        plan::Binary { op: BinaryOp::Prelu, shape: shape.clone(), left: left.clone(), right: right.clone() }.into(),
        plan::Compare { op: CompareOp::GreaterOrEqual, shape: shape.clone(), left: left.clone(), right: right.clone() }
            .into(),
        plan::Select { shape: shape.clone(), condition: view.clone(), on_true: view.clone(), on_false: view.clone() }
            .into(),
        plan::Dense { rows, inner: 3, columns: 4, activation: Activation::Relu }.into(),
        plan::Contract { shape: shape.clone(), over: over.clone(), left, right }.into(),
        plan::Reduce { op: ReduceOp::ArgMinLast, shape: shape.clone(), over, source: view.clone() }.into(),
        plan::Softmax { shape: axis, log: true, zero_stays: false }.into(),
        plan::Gather { data: axis, picks }.into(),
        plan::GatherElements { data: axis, picks }.into(),
        plan::Scatter {
            op: Some(BinaryOp::Add),
            shape,
            axis: Dim::fixed(5),
            index: view.clone(),
            source: view.clone(),
            target: view,
        }
        .into(),
        plan::Cumulate { op: BinaryOp::Mul, data: axis, exclusive: true, reverse: false }.into(),
        plan::TopK { data: axis, k: 3, largest: true }.into(),
        plan::Lookup.into(),
        plan::Distances { rows, inner: 3, points: 4, squared: true }.into(),
        plan::Couple { rows, classes: 3 }.into(),
        plan::Trees { rows, features: 3, targets: 1, aggregate: Aggregate::Max, blocks }.into(),
        plan::Recurrent {
            cell: Cell::GruResetAfter,
            functions: [GateFunction::Sigmoid, GateFunction::HardSigmoid { alpha: 0.2, beta: 0.5 }, GateFunction::Relu],
            clip: f32::INFINITY,
            rows,
            steps: 50,
            hidden: 64,
            reverse: true,
            keep: false,
            lengths: true,
            peepholes: false,
            source: recurrent.clone(),
            initial: recurrent,
        }
        .into(),
    ]
}

fn kernels_as_bytes() -> Result<Vec<u8>> {
    let kernels = kernels();
    for (number, kernel) in kernels.iter().enumerate() {
        let name = kernel.name();
        ensure!(postcard::to_allocvec(kernel)?.first() == Some(&(number as u8)), "{name} is at the place of another");
    }
    ensure!(kernels.len() == Kernel::COUNT, "{} of {} kernels", kernels.len(), Kernel::COUNT);
    Ok(postcard::to_allocvec(&kernels)?)
}

/// Bytes of a reply.
fn reply<D: Decision>(answer: &D::Answer) -> Vec<u8> {
    encode(D::NUMBER, answer)
}

fn messages() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let sku = |code: &str| Sku::new(code);
    let line = Line { sku: sku("tea")?, quantity: 2 };
    let event = |kind| Event { at: Millis(1_000_000), channel: Channel::App, kind };
    let events = vec![
        event(EventKind::View { sku: sku("tea")? }),
        event(EventKind::Search { query: "green tea".into() }),
        event(EventKind::AddToCart(line.clone())),
        event(EventKind::Purchase { lines: vec![line.clone()] }),
        event(EventKind::Return(line)),
        event(EventKind::Impression { skus: vec![sku("tea")?, sku("jam")?] }),
        event(EventKind::Click { sku: sku("jam")? }),
        event(EventKind::Dismiss { sku: sku("jam")? }),
    ];
    let mut profile = Profile::default();
    events.iter().for_each(|event| profile.apply(event));
    let mut bits = SkuBits::none(11);
    bits.insert(SkuId(9));
    let tensors = vec![
        Tensor::new("f", [2], TensorData::F32(vec![1.5, -0.0]))?,
        Tensor::new("l", [1, 2], TensorData::I64(vec![1, -1]))?,
        Tensor::new("i", [1], TensorData::I32(vec![7]))?,
        Tensor::new("u", [1], TensorData::U8(vec![200]))?,
        Tensor::new("b", [2], TensorData::Bool(vec![0, 1]))?,
        Tensor::new("t", [1], TensorData::Text(vec!["a".into()]))?,
        Tensor::new("d", [1], TensorData::F64(vec![0.1]))?,
    ];
    let request = RankRequest {
        profile: profile.clone(),
        events,
        candidates: Some(vec![sku("tea")?]),
        rows: vec![ProductRow {
            sku: sku("chai")?,
            category: "tea".into(),
            popularity: 0.5,
            recent_popularity: 0.25,
            repeat_rate: 0.125,
            gap_days: Some(10.5),
            neighbours: vec![SimilarProduct { sku: sku("tea")?, similarity: 0.75 }],
            regions: vec![Code::new("US-SEA")?],
        }],
        constraints: Constraints {
            exclude: vec![sku("jam")?],
            hidden: Some(bits.clone()),
            available: Some(bits.complement()),
            max_per_category: Some(3),
            deliverable_to: Some(Code::new("US-SEA")?),
        },
        ..RankRequest::new("recommend", Millis(2_000_000), 10)
    };
    let reasons = vec![
        Reason::BoughtBefore { orders: 3, days_ago: 5 },
        Reason::DueAgain { every_days: 7 },
        Reason::LookedAt,
        Reason::GoesWith { sku: sku("jam")? },
        Reason::Popular { orders_in_10000: 123 },
    ];
    let port = |dtype| PortInfo { name: "x".into(), dtype, shape: vec![None, Some(4)] };
    let info = PackInfo {
        handle: 1,
        name: "recommend".into(),
        version: "0.1.0".into(),
        root: [7; 32],
        inputs: vec![port(Some(DType::F32))],
        outputs: vec![port(None)],
    };
    let catalog = Catalog::new([(sku("jam")?, "spreads"), (sku("tea")?, "drinks")])?;
    let features = sources(&[Part::Shopper, Part::Product, Part::Habit]);
    let task = Task::Rank(RankSpec { features, candidates: CandidateSpec { neighbours: 30, popular: 20 } });
    let neighbour = Neighbour { id: SkuId(1), similarity: 0.14 };
    let tables = RankTables::new(catalog.clone(), &[ProductStats::default(); 2], &[vec![neighbour], vec![]])?;
    let fault = Fault { code: ErrorKind::Malformed.code(), message: "why".into() };
    Ok(vec![
        ("request.describe", message::request(&Describe)),
        ("request.infer", message::request(&InferRequest { pack: "m".into(), inputs: tensors.clone() })),
        ("request.rank", message::request(&request)),
        ("reply.fault", encode(FAULT, &fault)),
        ("reply.loaded", encode(LOADED, &Loaded::Pack(info.clone()))),
        (
            "reply.description",
            reply::<Describe>(&Description { abi: ABI_VERSION, packs: vec![info], snapshot: Some(snapshot_info()) }),
        ),
        ("request.quote", message::request(&quote_request()?)),
        ("request.forecast", message::request(&forecast_request()?)),
        ("request.allocate", message::request(&allocate_request()?)),
        ("request.exceptions", message::request(&exception_request()?)),
        ("reply.snapshot", encode(LOADED, &Loaded::Snapshot(snapshot_info()))),
        ("reply.quote", reply::<QuoteRequest>(&quote()?)),
        ("reply.forecast", reply::<ForecastRequest>(&vec![[QUANTILES; 4]])),
        ("reply.allocated", reply::<AllocateRequest>(&allocated()?)),
        ("reply.exceptions", reply::<ExceptionRequest>(&exceptions()?)),
        ("request.insight", message::request(&insight_request()?)),
        ("reply.insights", reply::<InsightRequest>(&insights()?)),
        ("snapshot.storefront", ColumnWriter::section(&storefront()?)?),
        ("snapshot.fulfilment", ColumnWriter::section(&fulfilment()?)?),
        ("snapshot.forecast", ColumnWriter::section(&Forecast::new(&[[QUANTILES; 4]])?)?),
        ("reply.tensors", reply::<InferRequest>(&tensors)),
        (
            "reply.ranking",
            reply::<RankRequest>(&Ranking {
                items: vec![RankedItem { sku: sku("tea")?, score: 0.5, reasons }],
                considered: 40,
                profile,
            }),
        ),
        ("reply.scored", encode(SCORED, &())),
        ("fault.codes", ErrorKind::ALL.iter().flat_map(|kind| kind.code().to_le_bytes()).collect()),
        ("pack.catalog", ColumnWriter::section(&catalog)?),
        ("pack.task", postcard::to_allocvec(&task)?),
        (
            "pack.tasks",
            postcard::to_allocvec(&[
                Task::Demand(DemandSpec { features: sources(&[Part::Week]) }),
                Task::Price(PriceSpec { features: vec![Source::PriceToList] }),
                Task::Late(LateSpec { features: sources(&[Part::Clock, Part::Leg]) }),
                Task::Insight(insight_spec()),
            ])?,
        ),
        ("pack.tables", ColumnWriter::section(&tables)?),
        ("pack.card", postcard::to_allocvec(&ModelCard::default())?),
        ("pack.kernels", kernels_as_bytes()?),
    ])
}

fn insight_request() -> Result<InsightRequest> {
    Ok(InsightRequest {
        skus: Some(vec![Sku::new("tea")?]),
        texts: vec!["nice".into()],
        ..InsightRequest::new(Some("churn".into()), Millis(2_000_000))
    })
}

fn insights() -> Result<Insights> {
    let evidence = Source::ALL.iter().map(|&source| Fact { source, value: 1.5 }).collect::<Vec<_>>();
    let said = [
        (Subject::Shopper, insight::Value::Probability(0.5)),
        (Subject::Sku(Sku::new("tea")?), insight::Value::Quantiles(QUANTILES)),
        (Subject::Hour(167), insight::Value::Amount(2.0)),
        (Subject::Stock(Sku::new("tea")?, Code::new("US-SEA")?), insight::Value::Label("high".into())),
        (Subject::Text(1), insight::Value::Score(-1.0)),
    ];
    let items = said.into_iter().map(|(of, value)| Insight { of, value, evidence: evidence.clone() });
    Ok(Insights { pack: "churn".into(), items: items.collect(), considered: 6 })
}

fn insight_spec() -> InsightSpec {
    InsightSpec {
        rows: Rows::ShopperProduct,
        inputs: vec![Source::ShopperOrders, Source::Due],
        output: Output::Quantiles(insight::Range { unit: Unit::Days, least: 0.0, most: 90.0 }),
        keep: Keep { at_least: Some(1.0), limit: Some(10) },
        evidence: vec![Rule { source: Source::Due, at_least: Some(1.0), at_most: None }],
    }
}

/// All sources of some parts of a row.
fn sources(parts: &[Part]) -> Vec<Source> {
    Source::ALL.iter().copied().filter(|source| parts.contains(&source.part())).collect()
}

const QUANTILES: Quantiles = Quantiles { p10: 1.0, p50: 2.0, p90: 4.0 };
const AT: Millis = Millis(1_512_345_600_000);

fn id(text: &str) -> Result<Id, tradewind_core::Error> {
    Id::new(text)
}

fn snapshot_info() -> SnapshotInfo {
    SnapshotInfo {
        root: [9; 32],
        name: "shop".into(),
        version: "7".into(),
        issued: AT,
        expires: Millis(AT.0 + Millis::DAY),
        products: 2,
        regions: 1,
        sections: vec![SectionKind::Storefront, SectionKind::Pricing, SectionKind::Fulfilment, SectionKind::Forecast],
    }
}

fn quote_request() -> Result<QuoteRequest> {
    let objective = Objective { margin: 3, revenue: 2, sell_through: 1 };
    let (sku, region) = (Sku::new("tea")?, Code::new("US-SEA")?);
    Ok(QuoteRequest { pack: Some("price".into()), snapshot: [9; 32], at: AT, sku, region, objective })
}

fn quote() -> Result<Quote> {
    let bounds =
        [Bound::Floor, Bound::MinimumAdvertised, Bound::Ceiling, Bound::DayStep, Bound::WeekStep, Bound::Range];
    let mut reasons = vec![
        PriceReason::Locked,
        PriceReason::ModelFault,
        PriceReason::Unchanged,
        PriceReason::Lowered,
        PriceReason::Raised,
        PriceReason::StockShort,
        PriceReason::StockLong,
    ];
    reasons.extend(bounds.map(PriceReason::Held));
    Ok(Quote {
        sku: Sku::new("tea")?,
        price: Money(399),
        list: Money(449),
        floor: Money(300),
        ceiling: Some(Money(500)),
        lowest_30_days: Money(379),
        units: Some(12.5),
        margin: Some(Money(1_250)),
        elasticity: Some(-1.5),
        reasons,
        valid_until: Millis(AT.0 + Millis::DAY),
    })
}

fn forecast_request() -> Result<ForecastRequest> {
    Ok(ForecastRequest { pack: None, snapshot: [9; 32], products: vec![Sku::new("tea")?] })
}

fn live() -> Result<Live> {
    let node = Code::new("STL")?;
    Ok(Live {
        stock: vec![LiveStock { node: node.clone(), sku: Sku::new("tea")?, available: 3 }],
        closed: vec![Code::new("LAX")?],
        booked: vec![Booked { node, shipments: 7 }],
    })
}

fn allocate_request() -> Result<AllocateRequest> {
    let line = Line { sku: Sku::new("tea")?, quantity: 2 };
    let node = Code::new("STL")?;
    Ok(AllocateRequest {
        snapshot: [9; 32],
        at: AT,
        orders: vec![ShopOrder {
            id: id("order-1")?,
            region: Code::new("ORD")?,
            lines: vec![line.clone()],
            promised: Day(17_510),
            priority: 1,
            complete: true,
            max_splits: 2,
            pinned: Some(node.clone()),
            excluded: vec![Code::new("LAS")?],
        }],
        policy: AllocationPolicy {
            day_late: Money(1),
            late: Money(2),
            split: Money(3),
            missing: Money(4),
            stock_out: Money(5),
            change: Money(6),
        },
        live: live()?,
        previous: vec![Planned { order: id("order-1")?, node, sku: line.sku, quantity: 1 }],
        late: Some("late".into()),
    })
}

fn allocated() -> Result<Allocated> {
    let line = Line { sku: Sku::new("tea")?, quantity: 1 };
    let reasons = [
        allocate::Reason::NoStock,
        allocate::Reason::NoLane,
        allocate::Reason::Excluded,
        allocate::Reason::Incomplete,
        allocate::Reason::SoldOut,
        allocate::Reason::Capacity,
        allocate::Reason::Splits,
        allocate::Reason::Cost,
    ];
    let shortfalls = reasons.map(|reason| OrderShortfall { sku: line.sku.clone(), quantity: 1, reason });
    Ok(Allocated {
        orders: vec![AllocatedOrder {
            id: id("order-1")?,
            shipments: vec![OrderShipment {
                node: Code::new("STL")?,
                dispatch: Day(17_504),
                arrival: Day(17_506),
                late: Probability(1_234),
                lines: vec![line.clone()],
            }],
            shortfalls: shortfalls.to_vec(),
            cost: Breakdown {
                shipping: Money(1),
                handling: Money(2),
                transit: Money(3),
                risk: Money(4),
                splits: Money(5),
                pressure: Money(-6),
                changes: Money(7),
                shortfall: Money(8),
            },
        }],
        total: Money(24),
        bound: Money(20),
    })
}

fn exception_request() -> Result<ExceptionRequest> {
    let states = [
        State::Created,
        State::Packed,
        State::PickedUp,
        State::Arrived,
        State::Departed,
        State::OutForDelivery,
        State::Attempted,
        State::AddressRejected,
        State::Delivered,
    ];
    let scans = states.iter().map(|&state| Ok(Scan { state, at: AT, place: id("STL")? }));
    let ways = [Way::Node(id("LAS")?), Way::Service(id("express")?)];
    Ok(ExceptionRequest {
        snapshot: Some([9; 32]),
        at: AT,
        shipments: vec![Shipment {
            id: id("parcel-1")?,
            order: id("order-1")?,
            node: id("STL")?,
            region: id("ORD")?,
            lines: vec![ShipmentLine {
                sku: Sku::new("tea")?,
                quantity: 1,
                value: Money(399),
                stock: Some(exceptions::Stock { available: 3, demand: QUANTILES }),
            }],
            created: AT,
            promised: Millis(AT.0 + Millis::DAY),
            leg: Some(0.25),
            scans: scans.collect::<Result<_>>()?,
            alternatives: ways.map(|way| Alternative { way, cost: Money(1), arrives: AT }).to_vec(),
        }],
        live: live()?,
        lanes: vec![LaneTimes {
            node: id("STL")?,
            region: id("ORD")?,
            min_days: 1,
            max_days: 2,
            states: vec![StateTimes { state: State::Packed, stay: QUANTILES, to_delivery: QUANTILES }],
        }],
        places: vec![id("STL")?],
        policy: Policy::default(),
        limit: 10,
        late: None,
    })
}

/// An exception of every kind, with all evidence and actions.
fn exceptions() -> Result<Vec<ExceptionScore>> {
    let sku = Sku::new("tea")?;
    let kinds = [
        ExceptionKind::Late,
        ExceptionKind::StockOutBeforeShip,
        ExceptionKind::MissedPickup,
        ExceptionKind::MissedConnection,
        ExceptionKind::MissedDelivery,
        ExceptionKind::Stuck { state: State::Packed },
        ExceptionKind::AddressFault,
        ExceptionKind::DataFault,
    ];
    let line = Line { sku: sku.clone(), quantity: 1 };
    let steps = [
        Step::Reroute { from: id("STL")?, to: id("LAS")?, cost: Money(1) },
        Step::Split { now: vec![line.clone()], later: vec![line] },
        Step::Upgrade { service: id("express")?, cost: Money(2) },
        Step::Hold,
        Step::Notify { kind: ExceptionKind::Late, promised: AT },
    ];
    let (shipment, order) = (id("parcel-1")?, id("order-1")?);
    let actions = steps.map(|step| Action { shipment: shipment.clone(), order: order.clone(), step });
    let scores = kinds.map(|kind| ExceptionScore {
        shipment: shipment.clone(),
        kind,
        probability: Probability(5_000),
        severity: Money(100),
        evidence: vec![Evidence::Fault(DataFault::UnknownLane)],
        actions: actions.to_vec(),
    });
    Ok(scores.to_vec())
}

fn storefront() -> Result<Storefront> {
    let products = SkuBits::all(1);
    Ok(Storefront {
        currency: Currency::new("USD")?,
        issued: AT,
        expires: Millis(AT.0 + Millis::DAY),
        catalog: Catalog::new([(Sku::new("tea")?, "drinks")])?,
        prices: Prices::new([ListedPrice {
            list: Money(449),
            points: &[PricePoint { since: AT, price: Money(399) }],
        }])?,
        regions: vec![Region {
            code: Code::new("ORD")?,
            utc_offset: -360,
            promises: vec![Promise::new(1, 3, &products)?],
        }],
        published: Some(pricing()?),
        slice_of: None,
    })
}

fn pricing() -> Result<Pricing> {
    let offer = Offer { price: Money(399), list: Money(449), display: BasisPoints(1), mailer: BasisPoints(2) };
    Ok(Pricing::new(
        Rounding { unit: 100, endings: vec![49, 99] },
        CoverPolicy { short_weeks: 1, long_weeks: 8, excess_loss: BasisPoints(2_000) },
        &[PriceInputs {
            product: SkuId(0),
            guard: PriceGuard {
                floor: Floor::Margin { cost: Money(200), margin: BasisPoints(500) },
                ceiling: Some(Money(500)),
                minimum_advertised: Some(Money(300)),
                day_step: Some(BasisPoints(1_000)),
                week_step: Some(BasisPoints(2_000)),
                locked_until: Some(AT),
            },
            history: &[Week::new(offer, 3)],
            promotions: &[Promotion { display: BasisPoints(3), mailer: BasisPoints(4) }],
        }],
    )?)
}

fn fulfilment() -> Result<Fulfilment> {
    Ok(Fulfilment {
        nodes: vec![FulfilmentNode {
            code: Code::new("STL")?,
            utc_offset: -360,
            shipments_per_day: 100,
            cut_off: 960,
            handling: Money(90),
            unit_handling: Money(12),
            closed: true,
            stock: NodeStock::new(&[Stock { product: SkuId(0), on_hand: 9, reserved: 2, safety: 1 }])?,
        }],
        lanes: vec![Lane {
            node: 0,
            region: 0,
            distance: 415,
            cost: Money(559),
            unit_cost: Money(55),
            min_days: 2,
            max_days: 3,
            states: vec![StateTimes { state: State::Packed, stay: QUANTILES, to_delivery: QUANTILES }],
        }],
    })
}
