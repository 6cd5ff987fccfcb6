//! What policies decide, as a table; and what is asked for one-time codes.

use std::net::IpAddr;

use ashlar_db::Tag;
use ashlar_types::{AccountUin, AppId, Clock as _, UnixMillis};

use super::policy::{Applicant, Policy, Question, Verdict, decide};
use super::{Ask, ResourceName};
use crate::tests::harness::World;
use crate::{AccessError, ControlError, FIRST_ACCOUNT, PolicyHolder};

const OWN: AccountUin = AccountUin(1);

/// 2026-01-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

fn policy(statements: &str) -> Policy {
    Policy::parse(&format!(r#"{{"version": "2.0", "statement": [{statements}]}}"#)).unwrap()
}

fn disk(id: &str) -> ResourceName {
    ResourceName {
        service: "cbs".to_owned(),
        region: "ap-guangzhou".to_owned(),
        account: OWN,
        app_id: Some(AppId(7)),
        resource: format!("volume/{id}"),
    }
}

/// What the policy says about cbs:ResizeDisk on disk-00000001 from 10.0.0.1, with these tags.
fn verdict(statements: &str, resource_tags: &[&str], request_tags: &[&str]) -> Verdict {
    let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let (resource_tags, request_tags) = (owned(resource_tags), owned(request_tags));
    let question = Question {
        product: "cbs",
        action: "ResizeDisk",
        ip: Some(IpAddr::from([10, 0, 0, 1])),
        now: NOW,
        request_tags: &request_tags,
    };
    let name = disk("disk-00000001");
    decide([policy(statements)].iter(), OWN, &[], &question, Some((&name, &resource_tags)))
}

#[test]
fn what_is_denied_wins_over_what_is_allowed() {
    let allow = r#"{"effect": "allow", "action": "cbs:*", "resource": "*"}"#;
    let deny = r#"{"effect": "deny", "action": "*:Resize*", "resource": "qcs::cbs:::volume/disk-0*"}"#;
    let other = r#"{"effect": "deny", "action": "cbs:ResizeDisk", "resource": "qcs::cbs:::volume/disk-9*"}"#;
    for (statements, expected) in [
        (allow.to_owned(), Verdict::Allowed),
        (deny.to_owned(), Verdict::Denied),
        (other.to_owned(), Verdict::Silent),
        (format!("{allow},{deny}"), Verdict::Denied),
        (format!("{deny},{allow}"), Verdict::Denied),
        (format!("{allow},{other}"), Verdict::Allowed),
    ] {
        assert_eq!(verdict(&statements, &[], &[]), expected, "{statements}");
    }
}

#[test]
fn an_action_about_nothing_needs_a_statement_on_everything() {
    let question = Question { product: "cbs", action: "ResizeDisk", ip: None, now: NOW, request_tags: &[] };
    let on = |resource: &str| {
        let statement = format!(r#"{{"effect": "allow", "action": "cbs:*", "resource": "{resource}"}}"#);
        decide([policy(&statement)].iter(), OWN, &[], &question, None)
    };
    assert_eq!(on("*"), Verdict::Allowed);
    assert_eq!(on("qcs::cbs:::*"), Verdict::Silent);
}

#[test]
fn conditions_hold_or_do_not() {
    let any = r#""for_any_value:string_equal": {"qcs:resource_tag": ["team&blue", "team&green"]}"#;
    let all = r#""for_all_value:string_equal": {"qcs:resource_tag": ["team&blue", "env&test"]}"#;
    let not = r#""string_not_equal": {"qcs:resource_tag": ["env&live"]}"#;
    let request = r#""string_like": {"qcs:request_tag": ["team&*"]}"#;
    let optional = r#""string_equal_if_exist": {"qcs:request_tag": ["team&blue"]}"#;
    let cased = r#""string_equal_ignore_case": {"qcs:resource_tag": "TEAM&BLUE"}"#;
    for (condition, resource_tags, request_tags, holds) in [
        (r#""ip_equal": {"qcs:ip": ["10.0.0.0/8"]}"#, &[][..], &[][..], true),
        (r#""ip_equal": {"qcs:ip": ["11.0.0.0/8", "10.0.0.1"]}"#, &[], &[], true),
        (r#""ip_equal": {"qcs:ip": "11.0.0.0/8"}"#, &[], &[], false),
        (r#""ip_not_equal": {"qcs:ip": "11.0.0.0/8"}"#, &[], &[], true),
        (r#""ip_not_equal": {"qcs:ip": ["10.0.0.0/8"]}"#, &[], &[], false),
        (any, &["team&blue"], &[], true),
        (any, &["env&test", "team&green"], &[], true),
        (any, &["team&red"], &[], false),
        (any, &[], &[], false),
        (all, &["team&blue", "env&test"], &[], true),
        (all, &["team&blue", "env&live"], &[], false),
        (not, &["env&test"], &[], true),
        (not, &["env&test", "env&live"], &[], false),
        (not, &[], &[], true),
        (request, &[], &["team&x"], true),
        (request, &["team&x"], &["env&x"], false),
        (optional, &[], &[], true),
        (optional, &[], &["team&blue"], true),
        (optional, &[], &["team&red"], false),
        (cased, &["team&blue"], &[], true),
        (r#""date_less_than": {"qcs:current_time": "2026-01-01T00:00:01Z"}"#, &[], &[], true),
        (r#""date_less_than": {"qcs:current_time": "2026-01-01T00:00:00Z"}"#, &[], &[], false),
        (r#""date_greater_than_equal": {"qcs:current_time": "2026-01-01T00:00:00Z"}"#, &[], &[], true),
        (r#""date_greater_than": {"qcs:current_time": "2026-01-01T00:00:00Z"}"#, &[], &[], false),
    ] {
        let statement =
            format!(r#"{{"effect": "allow", "action": "*", "resource": "*", "condition": {{{condition}}}}}"#);
        let expected = if holds { Verdict::Allowed } else { Verdict::Silent };
        assert_eq!(
            verdict(&statement, resource_tags, request_tags),
            expected,
            "{condition} {resource_tags:?}"
        );
    }
    // Conditions are joined by AND.
    let both = r#""ip_equal": {"qcs:ip": "10.0.0.1"}, "string_equal": {"qcs:resource_tag": "team&blue"}"#;
    let statement =
        format!(r#"{{"effect": "allow", "action": "*", "resource": "*", "condition": {{{both}}}}}"#);
    assert_eq!(verdict(&statement, &["team&blue"], &[]), Verdict::Allowed);
    assert_eq!(verdict(&statement, &[], &[]), Verdict::Silent);
}

#[test]
fn the_tags_of_a_session_complete_what_policies_compare() {
    let on_resource = |operator: &str, value: &str| {
        format!(
            r#"{{"effect": "allow", "action": "*", "resource": "*",
                "condition": {{"{operator}": {{"qcs:resource_tag": ["{value}"]}}}}}}"#
        )
    };
    let by_value = on_resource("for_any_value:string_equal", "team&${qcs:principal_tag_value}");
    let both = on_resource("string_equal", "${qcs:principal_tag_key}&${qcs:principal_tag_value}");
    let like = on_resource("string_like", "t*&${qcs:principal_tag_value}*");
    let not = on_resource("string_not_equal", "team&${qcs:principal_tag_value}");
    let cased = on_resource("string_equal_ignore_case", "TEAM&${qcs:principal_tag_value}");
    let own = r#"{"effect": "allow", "action": "*", "resource": "*",
        "condition": {"string_equal": {"qcs:principal_tag": ["team&blue", "team&green"]}}}"#
        .to_owned();
    let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
    let blue = [tag("env", "test"), tag("team", "blue")];
    let star = [tag("team", "*")];
    for (statement, session, resource, holds) in [
        (&by_value, &blue[..], "team&blue", true),
        (&by_value, &blue, "team&red", false),
        (&by_value, &[], "team&blue", false),
        (&by_value, &[], "team&", false),
        (&both, &blue, "env&test", true),
        (&both, &blue, "env&blue", false),
        (&like, &blue, "troop&blueish", true),
        (&like, &blue, "army&blue", false),
        (&like, &star, "team&blue", false),
        (&like, &star, "team&*x", true),
        (&not, &blue, "team&blue", false),
        (&not, &blue, "team&red", true),
        (&not, &[], "team&blue", true),
        (&cased, &blue, "team&BLUE", true),
        (&own, &blue, "", true),
        (&own, &star, "", false),
        (&own, &[], "", false),
    ] {
        let question =
            Question { product: "cbs", action: "ResizeDisk", ip: None, now: NOW, request_tags: &[] };
        let (name, tags) = (disk("disk-00000001"), [resource.to_owned()]);
        let said = decide([policy(statement)].iter(), OWN, session, &question, Some((&name, &tags)));
        let expected = if holds { Verdict::Allowed } else { Verdict::Silent };
        assert_eq!(said, expected, "{statement} {session:?} {resource}");
    }
}

#[test]
fn a_document_that_is_none_says_where() {
    let rights = |statement: &str| format!(r#"{{"version": "2.0", "statement": [{statement}]}}"#);
    let all = r#""effect": "allow", "action": "*", "resource": "*""#;
    for (document, place) in [
        ("[]".to_owned(), "the policy"),
        ("{".to_owned(), "the policy"),
        (r#"{"version": "2.0"}"#.to_owned(), "statement"),
        (r#"{"version": 2.0, "statement": []}"#.to_owned(), "version"),
        (r#"{"version": "2.0", "statement": [], "id": 1}"#.to_owned(), "the policy"),
        (rights("7"), "statement 1"),
        (rights(&format!("{{{all}}}, {{}}")), "statement 2, effect"),
        (rights(&format!(r#"{{{all}, "principal": {{}}}}"#)), "statement 1"),
        (rights(r#"{"effect": "allow", "action": [], "resource": "*"}"#), "statement 1, action"),
        (rights(r#"{"effect": "allow", "action": ["*", 1], "resource": "*"}"#), "statement 1, action"),
        (rights(r#"{"effect": "allow", "action": "*", "resource": ["*", "x"]}"#), "statement 1, resource 2"),
        (rights(&format!(r#"{{{all}, "condition": []}}"#)), "statement 1, condition"),
        (rights(&format!(r#"{{{all}, "condition": {{"ip_equal": 1}}}}"#)), "statement 1, condition ip_equal"),
        (
            rights(&format!(r#"{{{all}, "condition": {{"like": {{"qcs:ip": "::1"}}}}}}"#)),
            "statement 1, condition like qcs:ip",
        ),
        (
            rights(&format!(r#"{{{all}, "condition": {{"string_equal": {{"qcs:ip": "::1"}}}}}}"#)),
            "statement 1, condition string_equal qcs:ip",
        ),
        (
            rights(&format!(r#"{{{all}, "condition": {{"string_equal": {{"qcs:resource_tag": "blue"}}}}}}"#)),
            "statement 1, condition string_equal qcs:resource_tag",
        ),
        (
            rights(&format!(
                r#"{{{all}, "condition": {{"string_equal": {{"qcs:resource_tag": "a&${{uin}}"}}}}}}"#
            )),
            "statement 1, condition string_equal qcs:resource_tag",
        ),
        (" ".repeat(6 * 1024 + 1), "the policy"),
    ] {
        let error = Policy::parse(&document).expect_err(&document);
        assert_eq!(error.place, place, "{error} in {document}");
    }
}

#[test]
fn a_role_trusts_accounts_or_single_users() {
    let trust = |principal: &str, more: &str| {
        let document = format!(
            r#"{{"version": "2.0", "statement": [{{"effect": "allow", "action": "name/sts:AssumeRole",
                "principal": {{"qcs": ["{principal}"]}}{more}}}]}}"#
        );
        Policy::parse_trust(&document).unwrap()
    };
    let applicant = |number: u64, external_id: Option<&'static str>| Applicant {
        account: OWN,
        number,
        external_id,
        session_tags: &[],
        ip: None,
        now: NOW,
    };
    assert!(trust("qcs::cam::uin/1:root", "").trusts(&applicant(5, None)));
    assert!(!trust("qcs::cam::uin/2:root", "").trusts(&applicant(5, None)));
    assert!(trust("qcs::cam::uin/1:uin/5", "").trusts(&applicant(5, None)));
    assert!(!trust("qcs::cam::uin/1:uin/6", "").trusts(&applicant(5, None)));
    let only = r#", "condition": {"string_equal": {"sts:external_id": "blue"}}"#;
    assert!(trust("qcs::cam::uin/1:root", only).trusts(&applicant(5, Some("blue"))));
    for id in [None, Some("red")] {
        assert!(!trust("qcs::cam::uin/1:root", only).trusts(&applicant(5, id)));
    }
    let tagged = r#", "condition": {"string_equal": {"qcs:request_tag": "team&blue"}}"#;
    let blue = ["team&blue".to_owned()];
    assert!(
        trust("qcs::cam::uin/1:root", tagged)
            .trusts(&Applicant { session_tags: &blue, ..applicant(5, None) })
    );
    assert!(!trust("qcs::cam::uin/1:root", tagged).trusts(&applicant(5, None)));
    assert!(
        Policy::parse_trust(
            r#"{"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "*"}]}"#
        )
        .is_err()
    );
}

async fn asked(
    world: &World,
    user: Option<&str>,
    is_sensitive: bool,
    code: Option<&str>,
) -> Result<(), ControlError> {
    let key = world.control.keys(FIRST_ACCOUNT, user).await.unwrap().remove(0);
    let principal = world.control.find_principal(&key.secret_id).await.unwrap().unwrap();
    let now = world.clock.now();
    let question = Question { product: "cbs", action: "ResizeDisk", ip: None, now, request_tags: &[] };
    let resources = [ResourceName { account: FIRST_ACCOUNT, ..disk("disk-00000001") }];
    let ask = Ask { question, resources: &resources, needs_right: true, is_sensitive, code };
    world.control.authorize(&principal, &ask).await
}

fn code_missing(result: Result<(), ControlError>) -> bool {
    matches!(result, Err(ControlError::Access(AccessError::CodeMissing)))
}

fn code_wrong(result: Result<(), ControlError>) -> bool {
    matches!(result, Err(ControlError::Access(AccessError::CodeWrong(_))))
}

#[tokio::test]
async fn a_good_code_opens_a_window_and_works_once() {
    let world = World::new().await;
    asked(&world, None, true, None).await.unwrap();
    let device = world.control.enrol_device(FIRST_ACCOUNT, None).await.unwrap();
    assert!(world.control.enrol_device(FIRST_ACCOUNT, None).await.is_err(), "one device each");
    let code = || super::totp::tests::current(&device.secret, world.clock.now());
    asked(&world, None, false, None).await.unwrap();
    assert!(code_missing(asked(&world, None, true, None).await));
    let first = code();
    asked(&world, None, false, Some(&first)).await.unwrap();
    assert!(code_wrong(asked(&world, None, true, Some(&first)).await), "used before");
    asked(&world, None, true, None).await.unwrap();
    world.clock.advance_ms(super::second_factor::WINDOW_MS - 1);
    asked(&world, None, true, None).await.unwrap();
    world.clock.advance_ms(1);
    assert!(code_missing(asked(&world, None, true, None).await), "the window has closed");
    asked(&world, None, true, Some(&code())).await.unwrap();

    // Guessing closes the device for a while, even for the right code.
    world.clock.advance_ms(60_000);
    for _ in 0..5 {
        assert!(code_wrong(asked(&world, None, true, Some("no code")).await));
    }
    assert!(code_wrong(asked(&world, None, true, Some(&code())).await));
    world.clock.advance_ms(5 * 60_000);
    asked(&world, None, true, Some(&code())).await.unwrap();
    world.control.remove_device(FIRST_ACCOUNT, None).await.unwrap();
    asked(&world, None, true, None).await.unwrap();
    assert!(code_wrong(asked(&world, None, false, Some(&code())).await), "there is no device");
}

#[tokio::test]
async fn what_changes_counts_from_the_next_call_on() {
    let world = World::new().await;
    world.control.add_user(FIRST_ACCOUNT, "alice").await.unwrap();
    world.control.add_key(FIRST_ACCOUNT, Some("alice")).await.unwrap();
    let alice = PolicyHolder::User("alice".to_owned());
    let all = r#"{"version": "2.0", "statement": {"effect": "allow", "action": "*", "resource": "*"}}"#;
    for _ in 0..3 {
        assert!(asked(&world, Some("alice"), false, None).await.is_err());
        world.control.attach_policy(FIRST_ACCOUNT, &alice, "all", all).await.unwrap();
        asked(&world, Some("alice"), false, None).await.unwrap();
        world.control.detach_policy(FIRST_ACCOUNT, &alice, "all").await.unwrap();
    }
}
