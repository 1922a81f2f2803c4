//! Whatever clients send, it is read or refused; and the schema says what is read.

use std::collections::BTreeSet;

use domain::time::Timestamp;
use facade::form::Form;
use facade::native::deployment::{self, DeploymentRequest, DeploymentUpdate};
use facade::native::request::{
    CallRequest, CampaignRequest, ListOf, ListQuery, NewCall, NewCampaign,
};
use facade::plum::answer::{Script, refused};
use facade::plum::request::{Credentials, QueueCall, QueueCalls};
use facade::refusal::{Mistake, Refusal};
use facade::zone::Zone;
use proptest::prelude::*;
use serde_json::{Map, Value};
use utoipa::PartialSchema;

const NOW: Timestamp = Timestamp::from_seconds(1_318_447_820);

/// Every field that either of Plum's scripts knows.
const PLUM_FIELDS: [&str; 18] = [
    "call_parameters",
    "callee_type_detection",
    "campaign",
    "campaign_name",
    "campaign_parameters",
    "expiration_time",
    "expiration_timestamp",
    "login",
    "max_retries",
    "max_retry",
    "message_reference",
    "phone_number",
    "pin",
    "result_url",
    "retry_interval",
    "scheduled_time",
    "scheduled_timestamp",
    "start_url",
];

fn plum_form() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let value = prop_oneof![
        "\\PC{0,40}",
        "[0-9]{0,14}",
        Just("http://app.example/".to_owned()),
        Just("+12125550101;ani=1".to_owned()),
        Just("tomorrow 9am".to_owned()),
        "x{0,300}",
    ];
    proptest::collection::vec((proptest::sample::select(&PLUM_FIELDS[..]), value), 0..20)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        Just(Value::from("+12125550101")),
        Just(Value::from("2011-10-14T09:00:00Z")),
    ];
    let name = prop_oneof![
        proptest::sample::select(
            &["number", "say", "window", "retry", "opens_at", "wait_s", "name"][..]
        )
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_form_is_read_or_refused_without_showing_its_pin(fields in plum_form()) {
        let mut form = Form::new();
        for (name, value) in &fields {
            form.push((*name).into(), value.clone()).unwrap();
        }
        form.push("pin".into(), "s3cret-pin".into()).unwrap();
        let zone = Zone::utc();
        let call = QueueCall::parse(&form, NOW, &zone);
        let calls = QueueCalls::parse(&form, NOW, &zone);
        let shown = format!("{call:?}{calls:?}{:?}", Credentials::early(&form));
        prop_assert!(!shown.contains("s3cret"));
        if let Err(refusals) = call {
            prop_assert!(!refusals.is_empty());
            prop_assert!(!refused(Script::QueueCall, &refusals).contains("s3cret"));
        }
    }

    #[test]
    fn any_json_is_read_or_refused(document in any_json()) {
        for refusals in [NewCall::parse(&document, NOW).err(), NewCampaign::parse(&document).err()] {
            prop_assert!(refusals.is_none_or(|refusals| !refusals.is_empty()));
        }
    }

    #[test]
    fn any_query_is_read_or_refused(query in "\\PC{0,60}") {
        let _ = ListQuery::parse(&query, ListOf::Calls);
        let _ = ListQuery::parse(&query, ListOf::Campaigns);
    }
}

/// Names of a schema's properties.
fn properties<T: PartialSchema>() -> BTreeSet<String> {
    let schema = serde_json::to_value(T::schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false, "unknown fields are refused");
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

/// A document in which every property is of a type that no field has.
fn all_wrong(properties: &BTreeSet<String>) -> Value {
    let fields: Map<String, Value> =
        properties.iter().map(|name| (name.clone(), Value::from(vec![1]))).collect();
    Value::Object(fields)
}

fn wrong_types(refusals: &[Refusal]) -> BTreeSet<String> {
    assert!(!refusals.iter().any(|refusal| refusal.mistake == Mistake::Unknown), "{refusals:?}");
    refusals
        .iter()
        .filter(|refusal| refusal.mistake == Mistake::WrongType)
        .map(|refusal| refusal.field.trim_start_matches('/').to_owned())
        .collect()
}

#[test]
fn schemas_have_exactly_the_fields_that_are_read() {
    let call = properties::<CallRequest>();
    let refusals = NewCall::parse(&all_wrong(&call), NOW).unwrap_err();
    assert_eq!(wrong_types(&refusals), call);
    let campaign = properties::<CampaignRequest>();
    let refusals = NewCampaign::parse(&all_wrong(&campaign)).unwrap_err();
    assert_eq!(wrong_types(&refusals), campaign);
    let deployment = properties::<DeploymentRequest>();
    let refusals = deployment::parse_new(&all_wrong(&deployment)).unwrap_err();
    assert_eq!(wrong_types(&refusals), deployment);
    let update = properties::<DeploymentUpdate>();
    let refusals = deployment::parse_update(&all_wrong(&update)).unwrap_err();
    assert_eq!(wrong_types(&refusals), update);
}
