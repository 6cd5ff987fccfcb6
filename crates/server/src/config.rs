//! What the operator wants: a flag wins over its variable, that over the file, that over the default.
//!
//! Everything is parsed here, once; the rest of the server gets values that cannot be wrong.

mod address;
mod file;
mod nbd_limits;
mod nbd_tls;
mod rate_limits;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use ashlar_api::RateLimits;
use ashlar_control::NetworkError;
use ashlar_engine::{DataCache, PoolOptions};
use ashlar_nbd::NbdLimits;
use ashlar_types::Region;

pub(crate) use address::{HostPort, NbdListen};
use file::ConfigFile;
pub(crate) use nbd_tls::{NbdPermissions, NbdTls};

use crate::cli::ServeFlags;
use crate::failure::Failure;
use crate::faults::Faults;
use crate::http::TrustedProxies;
use crate::master_key::{KeyText, MasterKeySource};
use crate::scrub::ScrubSettings;

/// Where everything is kept when nobody says otherwise.
const DATA_DIR_DEFAULT: &str = "./ashlar-data";
/// Where the API listens when nobody says otherwise.
const API_LISTEN_DEFAULT: &str = "127.0.0.1:9600";
/// Where NBD listens, beside the socket in the data directory, when nobody says otherwise.
const NBD_TCP_LISTEN_DEFAULT: &str = "127.0.0.1:10809";
/// The region of calls that name none.
const REGION_DEFAULT: &str = "ap-guangzhou";

/// Environment variables by name. A function, so that tests bring their own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process. A variable that is empty counts as absent.
#[expect(clippy::disallowed_methods, reason = "this is where configuration is read")]
pub(crate) fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The configuration of a server.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where everything is kept.
    pub(crate) data_dir: PathBuf,
    /// Where the API listens.
    pub(crate) api_listen: HostPort,
    /// Where NBD listens; at least one.
    pub(crate) nbd_listen: Vec<NbdListen>,
    /// Whether the rules go by a clock that can be moved.
    pub(crate) test_clock: bool,
    /// Where the master key of encrypted disks comes from.
    pub(crate) master_key: MasterKeySource,
    /// TLS for NBD.
    pub(crate) nbd_tls: Option<NbdTls>,
    /// What NBD clients can make the server spend.
    pub(crate) nbd_limits: NbdLimits,
    /// TLS for the API: the certificate with its chain, and its key.
    pub(crate) api_tls: Option<(PathBuf, PathBuf)>,
    /// The proxies in front of the API, whose word about who called is taken.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Log lines in JSON instead of text.
    pub(crate) json_log: bool,
    /// Which log lines are written: `info`, or directives such as `info,ashlar=debug`.
    pub(crate) log: tracing_subscriber::filter::Targets,
    /// The region of calls that name none.
    pub(crate) default_region: Region,
    /// How often an account may call an action.
    pub(crate) rate_limits: RateLimits,
    /// Limits of the rules, and what disks can be had.
    pub(crate) control: ashlar_control::Settings,
    /// What keeps recently used data in memory.
    pub(crate) data_cache: DataCache,
    /// What shall go wrong.
    pub(crate) faults: Faults,
    /// When pools are scrubbed.
    pub(crate) scrub: ScrubSettings,
    /// Memory for what says where the blocks of a pool are, in MiB.
    pub(crate) map_cache_mib: usize,
}

impl Settings {
    /// Puts flags, variables and the file together.
    pub(crate) fn load(flags: ServeFlags, environment: Environment<'_>) -> Result<Self, Failure> {
        let config = flags.config.or_else(|| environment("ASHLAR_CONFIG").map(PathBuf::from));
        let file = config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let folder = config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let nbd_tls = file.nbd_tls.map(|setting| setting.check(folder)).transpose()?;
        let api_tls = match (file.api_tls_certificate, file.api_tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((folder.join(certificate), folder.join(key))),
            _ => {
                return Err(Failure::setup(
                    "`api_tls_certificate` and `api_tls_key` go together: set both, or none for plain HTTP",
                ));
            }
        };
        let data_dir = flags
            .data_dir
            .or_else(|| environment("ASHLAR_DATA_DIR").map(PathBuf::from))
            .or(file.data_dir)
            .unwrap_or_else(|| DATA_DIR_DEFAULT.into());
        let api_listen = flags
            .api_listen
            .or_else(|| environment("ASHLAR_API_LISTEN"))
            .or(file.api_listen)
            .unwrap_or_else(|| API_LISTEN_DEFAULT.into());
        let nbd_listen = Some(flags.nbd_listen)
            .filter(|listen| !listen.is_empty())
            .or_else(|| environment("ASHLAR_NBD_LISTEN").map(comma_separated))
            .or(file.nbd_listen);
        let json_log = match environment("ASHLAR_JSON_LOG") {
            _ if flags.json_log => true,
            Some(text) => parse_bool("ASHLAR_JSON_LOG", &text)?,
            None => file.json_log.unwrap_or(false),
        };
        let master_key = master_key_source(
            flags.master_key_file,
            environment,
            file.master_key_file,
            file.master_key_command,
        )?;
        let data_cache = match flags.cache.or_else(|| environment("ASHLAR_CACHE")).or(file.cache) {
            Some(word) => parse_cache(&word)?,
            None => DataCache::default(),
        };
        let log = environment("ASHLAR_LOG").or(file.log).unwrap_or_else(|| "info".into());
        let default_region = file.default_region.unwrap_or_else(|| REGION_DEFAULT.into());
        let control = ashlar_control::Settings {
            limits: file.limits,
            disk_types: file.disk_types,
            schedule: file.schedule,
            billing: file.billing,
            snapshots: file.snapshots,
            prices: file.prices,
            enforce_performance: file.enforce_performance.unwrap_or(false),
            operation_logs: file.operation_logs.unwrap_or(true),
        };
        control.check().map_err(|error| Failure::setup("configuration file").because(error))?;
        #[cfg(debug_assertions)]
        let faults = flags.fault_plan.as_deref().map(Faults::read).transpose()?.unwrap_or_default();
        #[cfg(not(debug_assertions))]
        let faults = Faults::default();
        Ok(Self {
            faults,
            scrub: file.scrub,
            map_cache_mib: map_cache_mib(file.map_cache_mib)?,
            data_cache,
            api_listen: HostPort::parse("api_listen", &api_listen)?,
            nbd_listen: nbd_addresses(nbd_listen, &data_dir)?,
            nbd_tls,
            nbd_limits: file.nbd.check()?,
            api_tls,
            trusted_proxies: trusted_proxies(&file.trusted_proxies)?,
            data_dir,
            test_clock: flags.test_clock,
            master_key,
            json_log,
            log: log
                .parse()
                .map_err(|error| Failure::setup(format!("log `{log}`: {error}; write for example `info`")))?,
            default_region: default_region
                .parse()
                .map_err(|error| Failure::setup(format!("default_region: {error}")))?,
            rate_limits: file.rate_limits.0,
            control,
        })
    }
}

impl Settings {
    /// How pools are opened.
    pub(crate) fn pool_options(&self) -> PoolOptions {
        PoolOptions { data_cache: self.data_cache, ..PoolOptions::with_cache_bytes(self.map_cache_mib << 20) }
    }
}

fn trusted_proxies(given: &[String]) -> Result<TrustedProxies, Failure> {
    let network = |text: &String| {
        text.parse().map_err(|error: NetworkError| Failure::setup(format!("trusted_proxies: {error}")))
    };
    given.iter().map(network).collect::<Result<_, _>>().map(TrustedProxies)
}

fn map_cache_mib(given: Option<usize>) -> Result<usize, Failure> {
    const MIB_DEFAULT: usize = 256;
    match given.unwrap_or(MIB_DEFAULT) {
        mib @ 8..=1_048_576 => Ok(mib),
        mib => Err(Failure::setup(format!("map_cache_mib {mib}: expected 8 to 1048576"))),
    }
}

/// The data directory of an administrative command.
pub(crate) fn admin_data_dir(flag: Option<PathBuf>, environment: Environment<'_>) -> PathBuf {
    flag.or_else(|| environment("ASHLAR_DATA_DIR").map(PathBuf::from))
        .unwrap_or_else(|| DATA_DIR_DEFAULT.into())
}

fn master_key_source(
    flag: Option<PathBuf>,
    environment: Environment<'_>,
    file: Option<PathBuf>,
    command: Option<Vec<String>>,
) -> Result<MasterKeySource, Failure> {
    let one_of = |one: &str, other: &str| {
        Err(Failure::setup(format!("{one} and {other} are both set: say in one way where the master key is")))
    };
    if let Some(path) = flag {
        return Ok(MasterKeySource::File(path));
    }
    match (environment("ASHLAR_MASTER_KEY"), environment("ASHLAR_MASTER_KEY_FILE")) {
        (Some(_), Some(_)) => return one_of("ASHLAR_MASTER_KEY", "ASHLAR_MASTER_KEY_FILE"),
        (Some(text), None) => return Ok(MasterKeySource::Variable(KeyText::new(text))),
        (None, Some(path)) => return Ok(MasterKeySource::File(path.into())),
        (None, None) => {}
    }
    match (file, command) {
        (Some(_), Some(_)) => one_of("master_key_file", "master_key_command"),
        (Some(path), None) => Ok(MasterKeySource::File(path)),
        (None, Some(words)) => Ok(MasterKeySource::Command(words)),
        (None, None) => {
            let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
            let of_home = || environment("HOME").and_then(absolute).map(|home| home.join(".config"));
            let folder = environment("XDG_CONFIG_HOME").and_then(absolute).or_else(of_home);
            Ok(MasterKeySource::UserFolder(folder))
        }
    }
}

fn nbd_addresses(given: Option<Vec<String>>, data_dir: &Path) -> Result<Vec<NbdListen>, Failure> {
    match given {
        None => Ok(vec![
            NbdListen::Unix(data_dir.join("nbd.sock")),
            NbdListen::Tcp(HostPort::parse("nbd_listen", NBD_TCP_LISTEN_DEFAULT)?),
        ]),
        Some(given) if given.is_empty() => {
            Err(Failure::setup("nbd_listen is empty: name at least one unix:PATH or HOST:PORT"))
        }
        Some(given) => given.iter().map(|text| NbdListen::parse(text)).collect(),
    }
}

fn comma_separated(text: String) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn parse_cache(word: &str) -> Result<DataCache, Failure> {
    match word {
        "page" => Ok(DataCache::Page),
        "direct" => Ok(DataCache::Direct),
        _ => Err(Failure::setup(format!("cache `{word}`: expected `page` or `direct`"))),
    }
}

fn parse_bool(name: &str, text: &str) -> Result<bool, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Failure::setup(format!("{name} `{text}`: expected true or false"))),
    }
}
