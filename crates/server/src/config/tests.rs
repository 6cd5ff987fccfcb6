//! Precedence and refusals.

use std::collections::HashMap;

use super::*;

fn settings(flags: ServeFlags, variables: &[(&str, &str)], file: Option<&str>) -> Result<Settings, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let mut variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if let Some(text) = file {
        let path = dir.path().join("ashlar.toml");
        std::fs::write(&path, text).unwrap();
        variables.insert("ASHLAR_CONFIG".into(), path.to_str().unwrap().into());
    }
    Settings::load(flags, &|name| variables.get(name).cloned())
}

fn refusal(flags: ServeFlags, variables: &[(&str, &str)], file: Option<&str>) -> String {
    let failure = settings(flags, variables, file).expect_err("must be refused");
    assert_eq!(failure.exit_code(), 2);
    let text = failure.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let settings = settings(ServeFlags::default(), &[], None).unwrap();
    assert_eq!(settings.data_dir, PathBuf::from("./ashlar-data"));
    assert_eq!(settings.api_listen.to_string(), "127.0.0.1:9600");
    assert_eq!(
        settings.nbd_listen,
        [NbdListen::Unix("./ashlar-data/nbd.sock".into()), NbdListen::parse("127.0.0.1:10809").unwrap(),]
    );
    assert!(!settings.json_log);
    assert_eq!(settings.default_region.as_str(), "ap-guangzhou");
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let file = "data_dir = 'f'\napi_listen = '127.0.0.1:3'\nnbd_listen = ['unix:f']\njson_log = true\n";
    let variables = [
        ("ASHLAR_DATA_DIR", "v"),
        ("ASHLAR_API_LISTEN", "127.0.0.1:2"),
        ("ASHLAR_NBD_LISTEN", "unix:v, 127.0.0.1:0"),
        ("ASHLAR_JSON_LOG", "false"),
    ];
    let flags = || ServeFlags {
        config: None,
        data_dir: Some("a".into()),
        api_listen: Some("127.0.0.1:1".into()),
        nbd_listen: vec!["unix:a".into()],
        json_log: true,
        ..ServeFlags::default()
    };
    let shown = |settings: Settings| {
        let nbd: Vec<_> = settings.nbd_listen.iter().map(|listen| format!("{listen:?}")).collect();
        (settings.data_dir, settings.api_listen.to_string(), nbd.len(), settings.json_log)
    };
    assert_eq!(
        shown(settings(flags(), &variables, Some(file)).unwrap()),
        ("a".into(), "127.0.0.1:1".into(), 1, true)
    );
    assert_eq!(
        shown(settings(ServeFlags::default(), &variables, Some(file)).unwrap()),
        ("v".into(), "127.0.0.1:2".into(), 2, false)
    );
    assert_eq!(
        shown(settings(ServeFlags::default(), &[], Some(file)).unwrap()),
        ("f".into(), "127.0.0.1:3".into(), 1, true)
    );
}

#[test]
fn the_socket_follows_the_data_directory() {
    let settings = settings(ServeFlags::default(), &[("ASHLAR_DATA_DIR", "elsewhere")], None).unwrap();
    assert_eq!(settings.nbd_listen[0], NbdListen::Unix("elsewhere/nbd.sock".into()));
}

#[test]
fn refusals_name_the_setting_the_value_and_the_mend() {
    let unknown = refusal(ServeFlags::default(), &[], Some("json_log = true\napi_lisen = 'x'\n"));
    assert!(unknown.contains("line 2") && unknown.contains("api_lisen"), "{unknown}");
    let wrong_type = refusal(ServeFlags::default(), &[], Some("json_log = 'yes'\n"));
    assert!(
        wrong_type.contains("line 1 `json_log = 'yes'`") && wrong_type.contains("boolean"),
        "{wrong_type}"
    );
    let syntax = refusal(ServeFlags::default(), &[], Some("[limits\n"));
    assert!(syntax.contains("line 1"), "{syntax}");
    let nonsense = refusal(ServeFlags::default(), &[], Some("[limits]\njobs_at_once = 0\n"));
    assert!(nonsense.contains("jobs_at_once"), "{nonsense}");
    let proxy = refusal(ServeFlags::default(), &[], Some("trusted_proxies = ['10.0.0.1/8']\n"));
    assert!(proxy.contains("trusted_proxies") && proxy.contains("10.0.0.1/8"), "{proxy}");
    for (name, value) in [
        ("ASHLAR_API_LISTEN", "9600"),
        ("ASHLAR_API_LISTEN", "127.0.0.1:99999"),
        ("ASHLAR_API_LISTEN", "::1:9600"),
        ("ASHLAR_NBD_LISTEN", "unix:"),
        ("ASHLAR_NBD_LISTEN", "nonsense"),
        ("ASHLAR_NBD_LISTEN", ","),
        ("ASHLAR_JSON_LOG", "perhaps"),
        ("ASHLAR_LOG", "info=info=info"),
    ] {
        refusal(ServeFlags::default(), &[(name, value)], None);
    }
    let missing = refusal(ServeFlags::default(), &[("ASHLAR_CONFIG", "/nonexistent/a.toml")], None);
    assert!(missing.contains("/nonexistent/a.toml"), "{missing}");
}

#[test]
fn ipv6_and_names_are_hosts() {
    assert_eq!(HostPort::parse("x", "[::1]:0").unwrap().resolve().unwrap(), ["[::1]:0".parse().unwrap()]);
    let localhost = HostPort::parse("x", "localhost:5").unwrap().resolve().unwrap();
    assert!(localhost.iter().all(|address| address.ip().is_loopback()));
}

#[test]
fn a_disk_type_keeps_what_the_file_does_not_say() {
    let premium = |file: &str| {
        let settings = settings(ServeFlags::default(), &[], Some(file)).unwrap();
        settings.control.disk_types.cloud_premium
    };
    let narrowed = premium("[disk_types.CLOUD_PREMIUM]\nmax_gib = 500\n");
    let default = premium("");
    assert_eq!((narrowed.min_gib, narrowed.max_gib), (default.min_gib, 500));
    assert_eq!(default.min_gib, 10);
}
