//! Every action of the tables, as everybody who may and may not call it: nothing leaks, not even existence.
//!
//! The walk is over the tables and the requests are made from the descriptions, so an action that is added is
//! walked from its first day; one whose resources are not said fails here and in the tables' own tests.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_api::{Action, Resource, ResourceKind, sample};
use ashlar_control::{
    Control, FIRST_ACCOUNT, GetFederationToken, NetworkEffect, NewInstance, PolicyHolder, Settings,
};
use ashlar_types::{AccountUin, Clock, UnixMillis};
use serde_json::{Value, json};

use crate::service::wire::{Secret, Wire, code_of};

const DENIED: &str = "AuthFailure.UnauthorizedOperation";

/// The wire, and something of each kind behind it.
struct World {
    wire: Wire,
    control: Control,
    owner: Secret,
    /// What the first account has, by kind.
    names: BTreeMap<ResourceKind, String>,
}

impl World {
    async fn new() -> Self {
        let wire = Wire::new(Settings::default()).await;
        let (control, owner) = (wire.control.clone(), wire.owner.clone());
        let mut world = Self { wire, control, owner, names: BTreeMap::new() };
        world.make_resources().await;
        world
    }

    /// One thing of each kind that can be made through the tables.
    async fn make_resources(&mut self) {
        let wanted = NewInstance {
            zone: "ap-guangzhou-3".parse().unwrap(),
            name: None,
            id: None,
            ip_address: None,
            product: ashlar_types::InstanceProduct::Cvm,
            system_disk_gib: None,
        };
        let lighthouse = NewInstance {
            product: ashlar_types::InstanceProduct::Lighthouse,
            system_disk_gib: Some(10),
            ..wanted.clone()
        };
        let machine = self.control.add_instance(FIRST_ACCOUNT, lighthouse).await.unwrap();
        let machine = crate::admin::shown_id(&machine);
        self.names.insert(ResourceKind::LighthouseInstance, machine.clone());
        let wanted_snapshot = json!({"InstanceId": machine});
        let kind = ResourceKind::LighthouseSnapshot;
        self.make(kind, "CreateInstanceSnapshot", wanted_snapshot, "/SnapshotId").await;
        let instance = self.control.add_instance(FIRST_ACCOUNT, wanted).await.unwrap().id;
        self.names.insert(ResourceKind::Machine, ashlar_control::instance_uuid(instance));
        let instance = instance.to_string();
        let any = format!("qcs::cvm:ap-guangzhou:uin/{FIRST_ACCOUNT}:instance/{instance}");
        self.names.insert(ResourceKind::Instance, instance);
        self.names.insert(ResourceKind::Any, any);
        let disk = json!({"Placement": {"Zone": "ap-guangzhou-3"}, "DiskChargeType": "POSTPAID_BY_HOUR",
            "DiskType": "CLOUD_PREMIUM", "DiskSize": 10, "DiskBackupQuota": 2});
        self.make(ResourceKind::Volume, "CreateDisks", disk, "/DiskIdSet/0").await;
        let disk = self.names[&ResourceKind::Volume].clone();
        self.make(ResourceKind::Snapshot, "CreateSnapshot", json!({"DiskId": disk}), "/SnapshotId").await;
        let policy = json!({"Policy": [{"DayOfWeek": [1], "Hour": [3]}]});
        let (kind, id) = (ResourceKind::AutoSnapshotPolicy, "/AutoSnapshotPolicyId");
        self.make(kind, "CreateAutoSnapshotPolicy", policy, id).await;
        self.make(ResourceKind::DiskBackup, "CreateDiskBackup", json!({"DiskId": disk}), "/DiskBackupId")
            .await;
        let trust = json!({"version": "2.0", "statement": [{"effect": "allow", "action": "sts:AssumeRole",
            "principal": {"qcs": [format!("qcs::cam::uin/{FIRST_ACCOUNT}:root")]}}]});
        let role = ashlar_control::NewRole {
            name: "role".to_owned(),
            trust: trust.to_string(),
            session_seconds_max: None,
        };
        self.control.add_role(FIRST_ACCOUNT, role).await.unwrap();
        let role = format!("qcs::cam::uin/{FIRST_ACCOUNT}:roleName/role");
        self.names.insert(ResourceKind::Role, role);
    }

    /// Nothing, where the tables have no such action.
    async fn make(&mut self, kind: ResourceKind, name: &str, request: Value, pointer: &str) {
        let Some(action) = Action::all().find(|action| action.spec().name == name) else { return };
        let answer = self.call(&self.owner, action, &request).await;
        let id = answer.pointer(pointer).and_then(Value::as_str);
        self.names.insert(kind, id.unwrap_or_else(|| panic!("{name}: {answer}")).to_owned());
    }

    async fn call(&self, secret: &Secret, action: Action, request: &Value) -> Value {
        self.wire.call(secret, action, request).await
    }

    /// The smallest request, with names of things that exist or of things that do not.
    fn request(&self, action: Action, exists: bool) -> Value {
        sample::request(action, &|kind| self.name(kind, exists))
    }

    fn name(&self, kind: ResourceKind, exists: bool) -> String {
        let real = self.names.get(&kind).filter(|_| exists).cloned();
        real.unwrap_or_else(|| sample::missing_name(kind).to_owned())
    }

    async fn code(&self, secret: &Secret, action: Action, exists: bool) -> String {
        code_of(&self.call(secret, action, &self.request(action, exists)).await)
    }

    /// An answer in which names are gone, so that answers about different things can be held side by side.
    fn masked(&self, answer: &Value) -> String {
        let mut text = answer.to_string();
        let mut pairs: Vec<(String, &str)> = self.names.values().map(|name| (name.clone(), "NAME")).collect();
        pairs.extend(self.names.keys().map(|kind| (sample::missing_name(*kind).to_owned(), "NAME")));
        // Whole names before the parts of them.
        pairs.sort_by_key(|(name, _)| usize::MAX - name.len());
        for (name, mask) in pairs {
            text = text.replace(&name, mask);
        }
        let word = |word: &str| {
            let is_uuid = word.len() == 36 && word.matches('-').count() == 4;
            let is_id = word.rsplit_once('-').is_some_and(|(kind, id)| id.len() == 8 && kind.len() < 8);
            let is_secret = word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if is_uuid || is_id || is_secret { "ID".to_owned() } else { word.to_owned() }
        };
        text.split('"').map(word).collect::<Vec<_>>().join("\"")
    }

    async fn user(&self, name: &str) -> Secret {
        self.control.add_user(FIRST_ACCOUNT, name).await.unwrap();
        let key = self.control.add_key(FIRST_ACCOUNT, Some(name)).await.unwrap();
        Secret { id: key.secret_id.to_string(), key: key.secret_key, token: None }
    }

    /// The user may do what these statements say, and no more.
    async fn set_policy(&self, user: &str, statements: Value) {
        let holder = PolicyHolder::User(user.to_owned());
        for policy in self.control.policies(FIRST_ACCOUNT, &holder).await.unwrap() {
            self.control.detach_policy(FIRST_ACCOUNT, &holder, &policy.name).await.unwrap();
        }
        let document = json!({"version": "2.0", "statement": statements}).to_string();
        self.control.attach_policy(FIRST_ACCOUNT, &holder, "policy", &document).await.unwrap();
    }

    /// Everything that the owner sees.
    async fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        for name in
            ["DescribeDisks", "DescribeSnapshots", "DescribeAutoSnapshotPolicies", "DescribeDiskBackups"]
        {
            for action in Action::all().filter(|action| action.spec().name == name) {
                all.push(self.masked(&self.call(&self.owner, action, &json!({})).await));
            }
        }
        all
    }
}

/// Whether the rules were asked: the caller was not turned away before.
fn was_let_in(code: &str) -> bool {
    !code.starts_with("AuthFailure") && !code.starts_with("Ip") && code != "UnauthorizedOperation"
}

/// Codes that say that a request was no request: then this test has not tested anything.
fn is_malformed(code: &str) -> bool {
    ["MissingParameter", "InvalidParameter", "UnknownParameter"].contains(&code)
}

#[tokio::test]
async fn a_user_may_call_exactly_what_a_policy_allows() {
    let world = World::new().await;
    let [nobody, one, never, narrow] = [
        world.user("nobody").await,
        world.user("one").await,
        world.user("never").await,
        world.user("narrow").await,
    ];
    let before = world.everything().await;
    for action in Action::all() {
        let spec = action.spec();
        let name = format!("{}:{}", spec.product, spec.name);
        if !spec.needs_right {
            assert!(was_let_in(&world.code(&nobody, action, true).await), "{name} is everybody's");
            continue;
        }
        // Without the right: the same answer whether the things exist or not.
        let [real, missing] = [true, false].map(|exists| world.request(action, exists));
        let (real, missing) =
            (world.call(&nobody, action, &real).await, world.call(&nobody, action, &missing).await);
        assert_eq!(code_of(&real), DENIED, "{name}: {real}");
        assert_eq!(world.masked(&real), world.masked(&missing), "{name}");

        // With the right to this action alone: let in, with things that do not exist so that nothing happens.
        world.set_policy("one", json!([{"effect": "allow", "action": name, "resource": "*"}])).await;
        let code = world.code(&one, action, false).await;
        assert!(was_let_in(&code), "{name}: {code} for a user with the right");

        // Whatever is denied stays denied.
        let everything = json!({"effect": "allow", "action": "*", "resource": "*"});
        let deny = json!({"effect": "deny", "action": name, "resource": "*"});
        world.set_policy("never", json!([everything, deny])).await;
        assert_eq!(world.code(&never, action, true).await, DENIED, "{name}");

        // With the right to other things only.
        let others: Vec<String> = spec.resources.iter().map(|resource| pattern(*resource)).collect();
        let names_real = spec
            .resources
            .iter()
            .any(|resource| resource.parameter().is_some() && world.names.contains_key(&resource.kind()));
        if names_real {
            world.set_policy("narrow", json!([{"effect": "allow", "action": "*", "resource": others}])).await;
            assert_eq!(world.code(&narrow, action, true).await, DENIED, "{name}: a right to another thing");
            let code = world.code(&narrow, action, false).await;
            assert!(was_let_in(&code), "{name}: {code} with the right to each thing");
        }
    }
    assert_eq!(world.everything().await, before, "calls that were refused have changed something");
}

/// The resource pattern of what does not exist, or of all where the action touches all.
fn pattern(resource: Resource) -> String {
    let kind = resource.kind();
    match (kind.prefix(), resource.parameter()) {
        (Some((service, word)), Some(_)) => format!("qcs::{service}:::{word}/{}", sample::missing_name(kind)),
        (Some((service, word)), None) => format!("qcs::{service}:::{word}/*"),
        (None, _) => sample::missing_name(kind).to_owned(),
    }
}

#[tokio::test]
async fn another_account_cannot_tell_what_exists() {
    let world = World::new().await;
    let account = world.control.add_account("other").await.unwrap().uin;
    let key = world.control.add_key(account, None).await.unwrap();
    let other = Secret { id: key.secret_id.to_string(), key: key.secret_key, token: None };
    let before = world.everything().await;
    let mut walked = BTreeSet::new();
    for action in Action::all() {
        let name = action.spec().name;
        let real = world.call(&other, action, &world.request(action, true)).await;
        let missing = world.call(&other, action, &world.request(action, false)).await;
        assert_eq!(world.masked(&real), world.masked(&missing), "{name}");
        let code = code_of(&real);
        assert!(!is_malformed(&code) || code_of(&missing) == code, "{name}: {real}");
        walked.insert(code);
    }
    assert!(walked.contains("ok") && walked.len() > 3, "{walked:?}");
    assert_eq!(world.everything().await, before, "another account has changed something");
}

#[tokio::test]
async fn keys_that_ended_or_come_from_elsewhere_call_nothing() {
    let world = World::new().await;
    let first = world.control.find_principal(&world.owner.id.parse().unwrap()).await.unwrap().unwrap();
    let policy =
        json!({"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "*"}]});
    let wanted = GetFederationToken {
        name: "guest".to_owned(),
        policy: policy.to_string(),
        duration_seconds: Some(600),
    };
    let given = world.control.get_federation_token(&first, wanted).await.unwrap();
    let (id, key) = (given.secret_id.to_string(), given.secret_key);
    let guest = Secret { id, key, token: Some(given.token) };
    let without = Secret { token: None, ..guest.clone() };
    let second = world.control.add_key(FIRST_ACCOUNT, None).await.unwrap();
    let disabled = Secret { id: second.secret_id.to_string(), key: second.secret_key, token: None };
    world.control.enable_key(FIRST_ACCOUNT, &disabled.id.parse().unwrap(), false).await.unwrap();
    world
        .control
        .add_network(FIRST_ACCOUNT, NetworkEffect::Deny, "10.0.0.0/8".parse().unwrap())
        .await
        .unwrap();
    let before = world.everything().await;
    for action in Action::all() {
        let name = action.spec().name;
        let request = world.request(action, true);
        let code = world.code(&guest, action, false).await;
        assert!(was_let_in(&code) || code == "UnauthorizedOperation", "{name}: {code} with a good token");
        assert_eq!(world.code(&without, action, true).await, "AuthFailure.TokenFailure", "{name}");
        assert_eq!(world.code(&disabled, action, true).await, "AuthFailure.SecretIdNotFound", "{name}");
        for secret in [&world.owner, &guest] {
            let answer = world.wire.call_from(secret, action, &request, [10, 1, 2, 3]).await;
            assert_eq!(code_of(&answer), "IpInBlacklist", "{name}");
        }
    }
    world.wire.clock.advance_ms(600_000);
    for action in Action::all() {
        assert_eq!(world.code(&guest, action, true).await, "AuthFailure.TokenFailure", "{:?}", action);
    }
    world.wire.clock.set(UnixMillis(world.wire.clock.now().0 - 600_000));
    assert_eq!(world.everything().await, before, "a key that is no good has changed something");
}

#[tokio::test]
async fn the_owner_is_let_in_everywhere() {
    let world = World::new().await;
    let mut malformed = Vec::new();
    for action in Action::all() {
        let answer = world.call(&world.owner, action, &world.request(action, false)).await;
        let code = code_of(&answer);
        assert!(was_let_in(&code), "{action:?}: {answer}");
        if is_malformed(&code) {
            malformed.push(format!("{action:?}: {}", answer["Error"]["Message"]));
        }
    }
    let all = Action::all().count();
    assert!(malformed.len() * 3 < all, "most requests should reach the rules:\n{}", malformed.join("\n"));
}

#[tokio::test]
async fn a_share_lets_see_and_clone_and_nothing_else() {
    let action = |name: &str| Action::all().find(|action| action.spec().name == name);
    let Some(share) = action("ModifySnapshotsSharePermission") else { return };
    let world = World::new().await;
    let account = world.control.add_account("other").await.unwrap().uin;
    let key = world.control.add_key(account, None).await.unwrap();
    let other = Secret { id: key.secret_id.to_string(), key: key.secret_key, token: None };
    let snapshot = world.names[&ResourceKind::Snapshot].clone();
    let wanted =
        json!({"AccountIds": [account.to_string()], "SnapshotIds": [snapshot], "Permission": "SHARE"});
    let answer = world.call(&world.owner, share, &wanted).await;
    assert_eq!(code_of(&answer), "ok", "{answer}");
    let before = world.everything().await;
    let seen =
        world.call(&other, action("DescribeSnapshots").unwrap(), &json!({"SnapshotIds": [snapshot]})).await;
    assert_eq!(seen["TotalCount"], 1, "{seen}");
    let clone = json!({"Placement": {"Zone": "ap-guangzhou-3"}, "DiskChargeType": "POSTPAID_BY_HOUR",
        "DiskType": "CLOUD_PREMIUM", "DiskSize": 10, "SnapshotId": snapshot});
    let made = world.call(&other, action("CreateDisks").unwrap(), &clone).await;
    assert_eq!(code_of(&made), "ok", "{made}");
    let names_it = |action: &Action| {
        let mut resources = action.spec().resources.iter();
        let is_snapshot = |one: &Resource| one.kind() == ResourceKind::Snapshot && one.parameter().is_some();
        action.spec().writes && action.spec().name != "CreateDisks" && resources.any(is_snapshot)
    };
    for action in Action::all().filter(names_it) {
        let answer = world.call(&other, action, &world.request(action, true)).await;
        assert_ne!(code_of(&answer), "ok", "{action:?}: whom it is shared with has changed it");
    }
    assert_eq!(world.everything().await, before);
    assert_ne!(account, AccountUin(0));
}
