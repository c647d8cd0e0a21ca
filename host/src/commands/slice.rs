use super::{ModuleArgs, SignArgs, lines, read, read_json, write};
use anyhow::{Context, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha384};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tradewind_core::{
    Catalog, Code, Millis, Sku, Task,
    pack::{PackView, SectionKind},
    rank::{RankRequest, RankTables, Ranking},
};
use tradewind_host::{
    KeyPair, Runtime, Tradewind, Trust, Verified, sha256,
    slice::{self, Selection, Shop},
};
use tradewind_json as public;

/// Products whose order is compared.
const FIRST: u16 = 12;

#[derive(clap::Args)]
pub struct Slice {
    /// Configuration of pages, `tradewind.json`, with a ranking pack, a public snapshot and products.
    config: PathBuf,
    /// Folder that is served at `/`, if the configuration has addresses that begin with it.
    #[arg(long, value_name = "FOLDER")]
    site: Option<PathBuf>,
    /// Region; may be repeated (default: each region of the snapshot, and `all` for pages that know none).
    #[arg(long = "region", value_name = "CODE", value_parser = |code: &str| Code::new(code).map_err(|error| error.to_string()))]
    regions: Vec<Code>,
    /// Category of the products; their neighbours may be of any.
    #[arg(long)]
    category: Option<String>,
    /// Number of products with neighbours, the most popular ones.
    #[arg(long, value_name = "NUMBER", default_value_t = 500)]
    products: usize,
    /// Output folder (default: `slices` beside the configuration).
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Also write, for pages of a static site, each product outside the slice with its neighbours: `REGION.pages.jsonl`.
    #[arg(long)]
    pages: bool,
    /// Moment of the prices on these pages (RFC 3339; default: the first of the snapshot).
    #[arg(long, value_name = "MOMENT", requires = "pages")]
    at: Option<Millis>,
    /// Rank requests, as for `tradewind rank`: how many does a slice answer as the whole pack does?
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    #[command(flatten)]
    module: ModuleArgs,
    #[command(flatten)]
    sign: SignArgs,
}

/// Files of a shop, as its configuration names them.
struct Named {
    config: Map<String, Value>,
    /// Place of the ranking pack in `packs`, and its bytes.
    ranker: (usize, Vec<u8>),
    snapshot: Vec<u8>,
    shop: Shop,
}

impl Slice {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let named = self.named().with_context(|| format!("`{}`", self.config.display()))?;
        let folder = self.out.clone().unwrap_or_else(|| self.config.with_file_name("slices"));
        fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
        let every = named.shop.regions().iter().map(|region| Some(region.code.clone())).chain([None]);
        let given: Vec<_> = self.regions.iter().cloned().map(Some).collect();
        let regions = if given.is_empty() { every.collect() } else { given };
        let runtime = self.requests.as_ref().map(|_| self.module.load()).transpose()?;
        for region in regions {
            let selection = named.shop.select(region.as_ref(), self.category.as_deref(), self.products)?;
            let files = self.write(&named, &selection, &folder)?;
            let (products, neighbours) = (selection.products.len(), selection.neighbours.len());
            writeln!(
                out,
                "{}: {products} products with neighbours, {neighbours} others; pack {}, snapshot {}, texts {} bytes",
                name(&selection),
                files.pack.len(),
                files.snapshot.len(),
                files.texts.len()
            )?;
            if self.pages {
                let (path, pages) = self.write_pages(&named, &selection, &folder)?;
                writeln!(out, "  {pages} pages: {}", path.display())?;
            }
            if let (Some(runtime), Some(requests)) = (&runtime, &self.requests) {
                let shares = named.compare(&files, &selection, runtime, requests)?;
                writeln!(out, "  {shares}")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn named(&self) -> anyhow::Result<Named> {
        let config: Map<String, Value> = read_json(&self.config)?;
        let trust = &self.trust(&config)?;
        let text = |value: Option<&Value>, what: &str| {
            value.and_then(Value::as_str).map(str::to_owned).with_context(|| format!("it has no {what}"))
        };
        let packs = config.get("packs").and_then(Value::as_array).context("it has no `packs`")?;
        let mut ranker = None;
        for (place, pack) in packs.iter().enumerate() {
            let path = self.file(&text(Some(pack), "address of a pack")?)?;
            let pack = Verified::pack(read(&path)?, trust).with_context(|| format!("`{}`", path.display()))?;
            if matches!(pack.task, Task::Rank(_)) {
                ensure!(ranker.replace((place, pack.bytes().to_vec())).is_none(), "more than one of its packs ranks");
            }
        }
        let ranker = ranker.context("none of its packs ranks")?;
        let path = self.file(&text(config.get("snapshot"), "`snapshot`")?)?;
        let snapshot = Verified::snapshot(read(&path)?, trust).with_context(|| format!("`{}`", path.display()))?;
        let snapshot = snapshot.bytes().to_vec();
        let products = config.get("products").and_then(|products| products.get("url"));
        let texts = read_json(&self.file(&text(products, "`products.url`")?)?)?;
        let shop = Shop::new(ranker.1.clone(), &snapshot, texts)?;
        Ok(Named { config, ranker, snapshot, shop })
    }

    /// Keys of the configuration, which must include the signing key: pages load nothing else.
    fn trust(&self, config: &Map<String, Value>) -> anyhow::Result<Trust> {
        let Some(path) = &self.sign.key else { return Ok(Trust::unsigned()) };
        let keys = config.get("keys").and_then(Value::as_array).context("it has no `keys`")?;
        let key =
            |key: &Value| key.as_str().and_then(public::unhex).with_context(|| format!("{key} is not a public key"));
        let keys: Vec<[u8; 32]> = keys.iter().map(key).collect::<Result<_, _>>()?;
        let signs = KeyPair::read(path)?.public();
        ensure!(keys.contains(&signs), "its `keys` do not have {}, of `{}`", public::hex(&signs), path.display());
        Ok(Trust::keys(keys))
    }

    /// File of an address.
    fn file(&self, url: &str) -> anyhow::Result<PathBuf> {
        let beside = self.config.parent().unwrap_or(Path::new(""));
        match (url.strip_prefix('/'), &self.site) {
            _ if url.contains("://") || url.starts_with("//") => bail!("`{url}` is on another host: give a path"),
            (Some(path), Some(site)) => Ok(site.join(path)),
            (Some(_), None) => bail!("`{url}` begins with /: give the folder that is served there with `--site`"),
            (None, _) => Ok(beside.join(url)),
        }
    }

    /// Writes the products outside a slice, a line for each of their pages.
    fn write_pages(&self, named: &Named, selection: &Selection, folder: &Path) -> anyhow::Result<(PathBuf, usize)> {
        #[derive(Serialize)]
        struct Page<'a> {
            sku: &'a Sku,
            products: &'a [public::PageProduct<&'a Value>],
        }
        let path = folder.join(name(selection)).with_extension("pages.jsonl");
        let (mut lines, mut count) = (Vec::new(), 0);
        for (sku, products) in named.shop.pages(selection, self.at.unwrap_or(named.shop.issued())) {
            serde_json::to_writer(&mut lines, &Page { sku: &sku, products: &products })?;
            lines.push(b'\n');
            count += 1;
        }
        write(&path, &lines)?;
        Ok((path, count))
    }

    /// Writes the files of a slice under names of their contents, and the configuration of its region.
    fn write(&self, named: &Named, selection: &Selection, folder: &Path) -> anyhow::Result<slice::Slice> {
        let mut slice = named.shop.cut(selection)?;
        self.sign.sign(&mut slice.pack)?;
        self.sign.sign(&mut slice.snapshot)?;
        let keep = |name: &str, end: &str, bytes: &[u8]| -> anyhow::Result<String> {
            let digest = public::hex(&sha256(bytes)[..8]);
            let name = format!("{name}-{digest}.{end}");
            write(&folder.join(&name), bytes)?;
            Ok(name)
        };
        let ranker = PackView::parse(&slice.pack)?.manifest().name.clone();
        let pack = keep(&ranker, "pack", &slice.pack)?;
        let snapshot = keep("public", "snapshot", &slice.snapshot)?;
        let texts = keep("products", "json", &slice.texts)?;
        let integrity = format!("sha384-{}", BASE64_STANDARD.encode(Sha384::digest(&slice.texts)));
        let mut config = named.config.clone();
        // The edge reads the whole shop's.
        config.remove("edge");
        config.values_mut().for_each(moved);
        config["packs"][named.ranker.0] = pack.into();
        config["snapshot"] = snapshot.into();
        config["products"] = json!({ "url": texts, "integrity": integrity });
        write(&folder.join(name(selection)).with_extension("json"), &serde_json::to_vec(&config)?)?;
        Ok(slice)
    }
}

/// Name of a slice's configuration.
fn name(selection: &Selection) -> &str {
    selection.region.as_ref().map_or("all", Code::as_str)
}

/// Adapts relative addresses of files to a folder below the configuration's.
fn moved(value: &mut Value) {
    let is_file = |text: &str| [".pack", ".wasm", ".snapshot"].iter().any(|end| text.ends_with(end));
    match value {
        Value::String(url) if is_file(url) && !url.starts_with('/') && !url.contains("://") => {
            *url = format!("../{url}")
        }
        Value::Array(values) => values.iter_mut().for_each(moved),
        Value::Object(values) => values.values_mut().for_each(moved),
        _ => {}
    }
}

impl Named {
    /// Shares of requests that the slice answers as the whole files do.
    fn compare(
        &self,
        files: &slice::Slice,
        selection: &Selection,
        runtime: &Runtime,
        requests: &Path,
    ) -> anyhow::Result<String> {
        let load = |pack: &[u8], snapshot: &[u8]| {
            let builder = Tradewind::builder().runtime(runtime.clone()).trust(Trust::unsigned());
            builder.pack(pack).snapshot(snapshot).build()
        };
        let whole = load(&self.ranker.1, &self.snapshot)?;
        let slice = load(&files.pack, &files.snapshot)?;
        let pack = whole.packs().first().map(|pack| pack.name.clone()).unwrap_or_default();
        let first = |tradewind: &Tradewind, request: &RankRequest| -> anyhow::Result<Vec<_>> {
            let Ranking { items, .. } = tradewind.rank(request)?;
            Ok(items.into_iter().map(|item| item.sku).collect())
        };
        let catalog = PackView::parse(&files.pack)?.copied_columns::<RankTables>(SectionKind::Tables)?.catalog;
        let (mut asked, mut alone, mut with_rows, mut shared, mut shown) = (0, 0, 0, 0, 0);
        for (number, request) in lines::read_requests(Some(requests))? {
            let of = |catalog: &Catalog| -> anyhow::Result<RankRequest> {
                let request: public::RankRequest = serde_json::from_str(&request).context("invalid rank request")?;
                let request = public::RankRequest { limit: FIRST, region: selection.region.clone(), ..request };
                Ok(request.message(&pack, catalog)?)
            };
            let request = of(self.shop.catalog()).with_context(|| format!("request {number}"))?;
            let wanted = first(&whole, &request)?;
            let rows = self.shop.rows(selection, &request);
            let request = of(&catalog)?;
            let given = first(&slice, &request)?;
            let with = first(&slice, &RankRequest { rows, ..request })?;
            asked += 1;
            alone += usize::from(given == wanted);
            with_rows += usize::from(with == wanted);
            shared += with.iter().filter(|sku| wanted.contains(sku)).count();
            shown += wanted.len();
        }
        ensure!(asked > 0, "`{}` has no requests", requests.display());
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        Ok(format!(
            "first {FIRST} of {asked} requests as by the whole pack: {:.1} %, {:.1} % without rows; {:.2} % of the products",
            percent(with_rows, asked),
            percent(alone, asked),
            percent(shared, shown)
        ))
    }
}
