//! Signed calls made by hand, end to end.

use std::io::{Read, Write};
use std::net::TcpStream;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Home, Server, run};

/// What signs calls to one server.
pub(crate) struct Client {
    host: String,
    secret_id: String,
    secret_key: String,
}

impl Client {
    pub(crate) fn new(home: &Home, server: &Server) -> Self {
        Self {
            host: server.endpoint.strip_prefix("http://").unwrap().to_owned(),
            secret_id: home.admin_env("TENCENTCLOUD_SECRET_ID"),
            secret_key: home.admin_env("TENCENTCLOUD_SECRET_KEY"),
        }
    }

    /// Makes one call of `cbs` and gives what lies in `Response`.
    pub(crate) fn call(&self, action: &str, request: &Value) -> Value {
        let body = request.to_string();
        let now = jiff::Timestamp::now();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Authorization: {}\r\nX-TC-Action: {action}\r\nX-TC-Version: 2017-03-12\r\n\
             X-TC-Timestamp: {}\r\nX-TC-Region: ap-guangzhou\r\nConnection: close\r\n\r\n",
            self.host,
            body.len(),
            self.authorization(&body, now),
            now.as_second(),
        );
        let answer = exchange(&self.host, &format!("{head}{body}"));
        answer.body["Response"].clone()
    }

    /// Makes a call that must succeed.
    pub(crate) fn succeed(&self, action: &str, request: &Value) -> Value {
        let response = self.call(action, request);
        assert_eq!(response["Error"], Value::Null, "{action} {request}");
        response
    }

    /// The code that a call is refused with.
    pub(crate) fn refusal(&self, action: &str, request: &Value) -> String {
        let response = self.call(action, request);
        response["Error"]["Code"]
            .as_str()
            .unwrap_or_else(|| panic!("{action} {request}: {response}"))
            .to_owned()
    }

    /// TC3-HMAC-SHA256 as the reference describes it.
    fn authorization(&self, body: &str, now: jiff::Timestamp) -> String {
        let date = now.strftime("%Y-%m-%d").to_string();
        let canonical = format!(
            "POST\n/\n\ncontent-type:application/json\nhost:{}\n\ncontent-type;host\n{}",
            self.host,
            sha256(body)
        );
        let to_sign =
            format!("TC3-HMAC-SHA256\n{}\n{date}/cbs/tc3_request\n{}", now.as_second(), sha256(&canonical));
        let date_key = hmac(format!("TC3{}", self.secret_key).as_bytes(), &date);
        let key = hmac(&hmac(&date_key, "cbs"), "tc3_request");
        format!(
            "TC3-HMAC-SHA256 Credential={}/{date}/cbs/tc3_request, SignedHeaders=content-type;host, Signature={}",
            self.secret_id,
            hex::encode(hmac(&key, &to_sign))
        )
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// An HTTP answer.
pub(crate) struct HttpAnswer {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl HttpAnswer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Sends bytes and reads until the server hangs up.
pub(crate) fn exchange(host: &str, request: &str) -> HttpAnswer {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(crate::harness::DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
    let mut lines = head.lines();
    HttpAnswer {
        status: lines.next().unwrap().to_owned(),
        headers: lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

/// Registers an instance and gives its id.
pub(crate) fn add_instance(home: &Home, zone: &str) -> String {
    run(&mut home.ashlar(&["instance", "add", "--zone", zone]), 0).0.trim().to_owned()
}

/// The parameters of a small disk.
pub(crate) fn small_disk() -> Value {
    json!({
        "Placement": {"Zone": "ap-guangzhou-3"}, "DiskType": "CLOUD_PREMIUM", "DiskSize": 10,
        "DiskChargeType": "POSTPAID_BY_HOUR",
    })
}

#[test]
fn a_disk_is_made_shown_and_attached() {
    let home = Home::new();
    let server = home.start();
    let client = Client::new(&home, &server);
    let instance = add_instance(&home, "ap-guangzhou-3");

    let created = client.succeed("CreateDisks", &small_disk());
    let disk = created["DiskIdSet"][0].as_str().unwrap().to_owned();
    let shown = client.succeed("DescribeDisks", &json!({"DiskIds": [disk]}));
    assert_eq!(shown["TotalCount"], 1);
    assert_eq!(shown["DiskSet"][0]["DiskState"], "UNATTACHED");
    assert_eq!(shown["DiskSet"][0]["DiskSize"], 10);

    client.succeed("AttachDisks", &json!({"DiskIds": [disk], "InstanceId": instance}));
    let shown = client.succeed("DescribeDisks", &json!({"DiskIds": [disk]}));
    assert_eq!(shown["DiskSet"][0]["DiskState"], "ATTACHED");
    assert_eq!(shown["DiskSet"][0]["InstanceId"], Value::from(instance.clone()));

    let (_, message) = run(&mut home.ashlar(&["instance", "remove", &instance]), 1);
    assert!(message.contains(&instance), "{message}");
    assert_eq!(
        client.refusal("TerminateDisks", &json!({"DiskIds": ["disk-00000000"]})),
        "InvalidDiskId.NotFound"
    );
}

#[test]
fn every_answer_is_200_and_plain_json() {
    let home = Home::new();
    let server = home.start();
    let host = server.endpoint.strip_prefix("http://").unwrap();
    let huge = "x".repeat(11 << 20);
    for (request, code) in [
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), None),
        (
            format!(
                "PUT / HTTP/1.1\r\nHost: http://{host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ),
            Some("UnsupportedProtocol"),
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{huge}",
                huge.len()
            ),
            Some("RequestSizeLimitExceeded"),
        ),
        (
            format!(
                "GET /?Action={} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
                "x".repeat(40 << 10)
            ),
            Some("RequestSizeLimitExceeded"),
        ),
        (
            format!("GET /?Action={} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(70 << 10)),
            Some("RequestSizeLimitExceeded"),
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Long: {}\r\n\r\n", "x".repeat(300 << 10)),
            Some("RequestSizeLimitExceeded"),
        ),
        ("This is a sentence in plain English, not HTTP.\r\n\r\n".to_owned(), Some("InvalidRequest")),
    ] {
        let answer = exchange(host, &request);
        let start = &request[..40];
        assert_eq!(answer.status, "HTTP/1.1 200 OK", "{start}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{start}");
        let error = &answer.body["Response"]["Error"]["Code"];
        assert!(
            error.is_string() && answer.body["Response"]["RequestId"].is_string(),
            "{start}: {}",
            answer.body
        );
        if let Some(code) = code {
            assert_eq!(error, code, "{start}");
        }
    }
}

#[test]
fn clients_that_only_hold_connections_keep_nobody_out() {
    let home = Home::new();
    let server = home.start();
    let host = server.endpoint.strip_prefix("http://").unwrap();
    let mut held: Vec<_> = (0..600).map(|_| TcpStream::connect(host).unwrap()).collect();
    let client = Client::new(&home, &server);
    client.succeed("DescribeDisks", &json!({}));
    // The longest waiting one was sent away for it.
    held[0].set_read_timeout(Some(crate::harness::DEADLINE)).unwrap();
    assert!(matches!(held[0].read(&mut [0]), Ok(0) | Err(_)));
}
