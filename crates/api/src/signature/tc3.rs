//! TC3-HMAC-SHA256. Reference: `common/06-signature-v3`.
//!
//! Where clients differ from the page, what they send counts: the query string is hashed as it stands, the
//! canonical URI is always `/`, the service is whatever the scope says, and the host may be signed with or
//! without its port.

use sha2::{Digest, Sha256};

use super::{equal, hmac_sha256, without_port};

/// What the `Authorization` header begins with.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// What `X-TC-Content-SHA256` says where the payload is not signed; it stands for the payload then.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const SCOPE_END: &str = "/tc3_request";
const SIGNED_HEADERS_MAX: usize = 64;

/// A parsed `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// The key that the request says it is signed with.
    pub secret_id: &'a str,
    /// The credential scope as the client wrote it: date, service and `tc3_request`.
    pub scope: &'a str,
    /// The scope's day, `YYYY-MM-DD` in UTC.
    pub date: &'a str,
    /// The scope's service. Clients put all sorts of things here, slashes included.
    pub service: &'a str,
    /// The names of the signed headers, as listed.
    pub signed_headers: Vec<&'a str>,
    /// 64 hexadecimal digits, in lower case.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses the header's value.
    ///
    /// # Errors
    /// What is wrong with it, in words for the client.
    pub fn parse(header: &'a str) -> Result<Self, &'static str> {
        let fields = header.trim().strip_prefix(ALGORITHM).ok_or("it must begin with TC3-HMAC-SHA256")?;
        let fields = fields.strip_prefix([' ', '\t']).ok_or("a space must follow TC3-HMAC-SHA256")?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) =
                field.trim().split_once('=').ok_or("its fields must have the form Name=value")?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err("it has a field other than Credential, SignedHeaders and Signature"),
            };
            if slot.replace(value).is_some() {
                return Err("one of its fields is given twice");
            }
        }
        // The service may hold slashes: the first one ends the id, the next the date, and the end is fixed.
        let (secret_id, scope) =
            credential.ok_or("it has no Credential")?.split_once('/').ok_or("its Credential has no scope")?;
        let (date, service) = scope
            .strip_suffix(SCOPE_END)
            .and_then(|scope| scope.split_once('/'))
            .ok_or("its Credential must have the form SecretId/date/service/tc3_request")?;
        let signed_headers = parse_signed_headers(signed_headers.ok_or("it has no SignedHeaders")?)?;
        let signature = signature.ok_or("it has no Signature")?;
        Ok(Self { secret_id, scope, date, service, signed_headers, signature })
    }
}

fn parse_signed_headers(list: &str) -> Result<Vec<&str>, &'static str> {
    let names: Vec<&str> = list.split(';').map(str::trim).collect();
    if names.len() > SIGNED_HEADERS_MAX {
        return Err("it lists too many SignedHeaders");
    }
    for required in ["content-type", "host"] {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(required)) {
            return Err("its SignedHeaders must list content-type and host");
        }
    }
    Ok(names)
}

/// What of a request a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// What follows the question mark, as it stands in the request.
    pub query: &'a str,
    /// Name and value of each signed header in the order of `SignedHeaders`, values as they stand in the
    /// request.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body, or [`UNSIGNED_PAYLOAD`] where the client does not sign it.
    pub payload: &'a [u8],
    /// `X-TC-Timestamp` as it stands in the request.
    pub timestamp: &'a str,
}

/// How the canonical headers are read. The page lower-cases all values; the client libraries take content
/// type and host as they are, and one of them leaves out the port.
#[derive(Debug, Clone, Copy)]
struct Reading {
    lower_case_all: bool,
    host_with_port: bool,
}

/// The signature of a request under `secret_key`, with headers as the client libraries sign them.
#[must_use]
pub fn sign(secret_key: &str, date: &str, service: &str, request: &SignedRequest<'_>) -> String {
    let reading = Reading { lower_case_all: false, host_with_port: true };
    Signer::new(secret_key, date, service, request).sign(reading)
}

/// Whether `authorization` holds a signature of `request` under `secret_key`, in any reading that a real
/// client uses.
#[must_use]
pub fn verify(secret_key: &str, authorization: &Authorization<'_>, request: &SignedRequest<'_>) -> bool {
    let Authorization { date, service, signature, .. } = *authorization;
    let signer = Signer::new(secret_key, date, service, request);
    [(false, true), (false, false), (true, true), (true, false)]
        .map(|(lower_case_all, host_with_port)| Reading { lower_case_all, host_with_port })
        .into_iter()
        .any(|reading| equal(&signer.sign(reading), signature))
}

/// What all readings of a request share, so that a large payload is hashed once.
struct Signer<'a> {
    request: &'a SignedRequest<'a>,
    date: &'a str,
    service: &'a str,
    payload_hash: String,
    signing_key: Vec<u8>,
}

impl<'a> Signer<'a> {
    fn new(secret_key: &str, date: &'a str, service: &'a str, request: &'a SignedRequest<'a>) -> Self {
        let day_key = hmac_sha256(format!("TC3{secret_key}").as_bytes(), date.as_bytes());
        let service_key = hmac_sha256(&day_key, service.as_bytes());
        let signing_key = hmac_sha256(&service_key, b"tc3_request");
        let payload_hash = hex::encode(Sha256::digest(request.payload));
        Self { request, date, service, payload_hash, signing_key }
    }

    fn sign(&self, reading: Reading) -> String {
        let Self { request, date, service, signing_key, .. } = self;
        let canonical_hash = hex::encode(Sha256::digest(self.canonical_request(reading)));
        let text =
            format!("{ALGORITHM}\n{}\n{date}/{service}{SCOPE_END}\n{canonical_hash}", request.timestamp);
        hex::encode(hmac_sha256(signing_key, text.as_bytes()))
    }

    fn canonical_request(&self, reading: Reading) -> Vec<u8> {
        let request = self.request;
        let mut canonical = format!("{}\n/\n{}\n", request.method, request.query).into_bytes();
        for (name, value) in request.headers {
            canonical.extend_from_slice(name.to_ascii_lowercase().as_bytes());
            canonical.push(b':');
            canonical.extend_from_slice(&canonical_value(name, value.trim_ascii(), reading));
            canonical.push(b'\n');
        }
        let names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        canonical.extend_from_slice(format!("\n{}\n{}", names.join(";"), self.payload_hash).as_bytes());
        canonical
    }
}

fn canonical_value(name: &str, value: &[u8], reading: Reading) -> Vec<u8> {
    let is_host = name.eq_ignore_ascii_case("host");
    let value = match std::str::from_utf8(value) {
        Ok(host) if is_host && !reading.host_with_port => without_port(host).as_bytes(),
        _ => value,
    };
    let verbatim = is_host || name.eq_ignore_ascii_case("content-type");
    if verbatim && !reading.lower_case_all { value.to_vec() } else { value.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page's worked example; the masked half of its key is seven asterisks.
    const KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3*******";
    const EXAMPLE: &str = "c492e8e41437e97a620b728c301bb8d17e7dc0c17eeabce80c20cd70fc3a78ff";
    const HEADER: &str = "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******/2019-02-25/cvm/tc3_request, \
                          SignedHeaders=content-type;host, \
                          Signature=c492e8e41437e97a620b728c301bb8d17e7dc0c17eeabce80c20cd70fc3a78ff";

    fn example() -> SignedRequest<'static> {
        SignedRequest {
            method: "POST",
            query: "",
            headers: &[
                ("content-type", b"application/json; charset=utf-8"),
                ("host", b"cvm.tencentcloudapi.com"),
            ],
            payload: br#"{"Limit": 1, "Filters": [{"Values": ["unnamed"], "Name": "instance-name"}]}"#,
            timestamp: "1551113065",
        }
    }

    #[test]
    fn the_worked_example_verifies() {
        let authorization = Authorization::parse(HEADER).unwrap();
        assert_eq!(authorization.secret_id, "AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******");
        assert_eq!(authorization.signature, EXAMPLE);
        assert_eq!(sign(KEY, "2019-02-25", "cvm", &example()), EXAMPLE);
        assert!(verify(KEY, &authorization, &example()));
    }

    #[test]
    fn the_canonical_request_is_the_page_s() {
        let request = example();
        let signer = Signer::new(KEY, "2019-02-25", "cvm", &request);
        let canonical = signer.canonical_request(Reading { lower_case_all: false, host_with_port: true });
        assert_eq!(
            String::from_utf8(canonical).unwrap(),
            "POST\n/\n\ncontent-type:application/json; charset=utf-8\nhost:cvm.tencentcloudapi.com\n\n\
             content-type;host\n99d58dfbc6745f6747f36bfca17dee5e6881dc0428a0a36f96199342bc5b4907"
        );
    }

    #[test]
    fn other_headers_are_lower_cased_and_host_and_type_may_be_too() {
        let headers = [
            ("Content-Type", &b" Application/JSON; charset=UTF-8 "[..]),
            ("host", &b"LocalHost:9600"[..]),
            ("X-TC-Action", &b"DescribeDisks"[..]),
        ];
        let request = SignedRequest { headers: &headers, ..example() };
        let signer = Signer::new(KEY, "2019-02-25", "cvm", &request);
        for (lower_case_all, host_with_port, expected) in [
            (false, true, "content-type:Application/JSON; charset=UTF-8\nhost:LocalHost:9600\n"),
            (false, false, "content-type:Application/JSON; charset=UTF-8\nhost:LocalHost\n"),
            (true, true, "content-type:application/json; charset=utf-8\nhost:localhost:9600\n"),
            (true, false, "content-type:application/json; charset=utf-8\nhost:localhost\n"),
        ] {
            let canonical = signer.canonical_request(Reading { lower_case_all, host_with_port });
            let canonical = String::from_utf8(canonical).unwrap();
            let expected =
                format!("POST\n/\n\n{expected}x-tc-action:describedisks\n\ncontent-type;host;x-tc-action\n");
            assert!(canonical.starts_with(&expected), "{canonical}");
        }
    }

    #[test]
    fn a_change_of_one_byte_anywhere_fails() {
        let authorization = Authorization::parse(HEADER).unwrap();
        let changed_payload = [example().payload, b" "].concat();
        for request in [
            SignedRequest { method: "GET", ..example() },
            SignedRequest { query: "a", ..example() },
            SignedRequest { payload: &changed_payload, ..example() },
            SignedRequest { timestamp: "1551113066", ..example() },
            SignedRequest {
                headers: &[
                    ("content-type", b"application/json; charset=utf-9"),
                    ("host", b"cvm.tencentcloudapi.com"),
                ],
                ..example()
            },
            SignedRequest {
                headers: &[
                    ("content-type", b"application/json; charset=utf-8"),
                    ("host", b"cvn.tencentcloudapi.com"),
                ],
                ..example()
            },
        ] {
            assert!(!verify(KEY, &authorization, &request), "{request:?}");
        }
        assert!(!verify("Gu5t9xGARNpq86cd98joQYCN3******", &authorization, &example()));
        for index in 0..EXAMPLE.len() {
            let mut signature = EXAMPLE.as_bytes().to_vec();
            signature[index] = if signature[index] == b'0' { b'1' } else { b'0' };
            let signature = String::from_utf8(signature).unwrap();
            let authorization = Authorization { signature: &signature, ..authorization.clone() };
            assert!(!verify(KEY, &authorization, &example()), "byte {index}");
        }
        for authorization in [
            Authorization { signature: "", ..authorization.clone() },
            Authorization { signature: &EXAMPLE[..63], ..authorization.clone() },
            Authorization { date: "2019-02-26", ..authorization.clone() },
            Authorization { service: "cbs", ..authorization },
        ] {
            assert!(!verify(KEY, &authorization, &example()), "{authorization:?}");
        }
    }

    #[test]
    fn what_the_client_libraries_sign_differently_verifies() {
        let received = [("content-type", &b"Application/JSON"[..]), ("host", &b"LocalHost:9600"[..])];
        let signed_by = |content_type: &'static [u8], host: &'static [u8], service: &str| {
            let headers = [("content-type", content_type), ("host", host)];
            sign("key", "2019-02-25", service, &SignedRequest { headers: &headers, ..example() })
        };
        for (signature, service) in [
            (signed_by(b"Application/JSON", b"LocalHost:9600", "cbs"), "cbs"),
            (signed_by(b"Application/JSON", b"LocalHost", "localhost:9600"), "localhost:9600"),
            (signed_by(b"application/json", b"localhost:9600", "http://127"), "http://127"),
            (signed_by(b"application/json", b"localhost", "127"), "127"),
        ] {
            let header = format!(
                "TC3-HMAC-SHA256 Credential=id/2019-02-25/{service}/tc3_request, \
                 SignedHeaders=content-type;host,Signature={signature}"
            );
            let authorization = Authorization::parse(&header).unwrap();
            assert_eq!(authorization.service, service);
            assert!(
                verify("key", &authorization, &SignedRequest { headers: &received, ..example() }),
                "{header}"
            );
        }
        let other = signed_by(b"application/json", b"otherhost", "cbs");
        let header = format!(
            "TC3-HMAC-SHA256 Credential=id/2019-02-25/cbs/tc3_request, SignedHeaders=content-type;host, Signature={other}"
        );
        let authorization = Authorization::parse(&header).unwrap();
        assert!(!verify("key", &authorization, &SignedRequest { headers: &received, ..example() }));
    }

    #[test]
    fn a_header_that_is_not_whole_is_refused() {
        for broken in [
            "",
            "SKIP",
            "TC3-HMAC-SHA256",
            "TC3-HMAC-SHA256Credential=a/b/c/tc3_request, SignedHeaders=content-type;host, Signature=0",
            "TC3-HMAC-SHA256 Credential=a/b/c/tc3_request, SignedHeaders=content-type;host",
            "TC3-HMAC-SHA256 Credential=a/b/c/tc3_request, Signature=0",
            "TC3-HMAC-SHA256 SignedHeaders=content-type;host, Signature=0",
            "TC3-HMAC-SHA256 Credential=a/b/c, SignedHeaders=content-type;host, Signature=0",
            "TC3-HMAC-SHA256 Credential=a/tc3_request, SignedHeaders=content-type;host, Signature=0",
            "TC3-HMAC-SHA256 Credential=a, SignedHeaders=content-type;host, Signature=0",
            "TC3-HMAC-SHA256 Credential=a/b/c/tc3_request, SignedHeaders=host, Signature=0",
            "TC3-HMAC-SHA256 Credential=a/b/c/tc3_request, SignedHeaders=content-type, Signature=0",
            "TC3-HMAC-SHA256 Credential=a/b/c/tc3_request, SignedHeaders=content-type;host, Signature=0, Signature=1",
            "TC3-HMAC-SHA256 Credential=a/b/c/tc3_request, SignedHeaders=content-type;host, Signature=0, More=1",
        ] {
            assert!(Authorization::parse(broken).is_err(), "{broken}");
        }
    }
}
