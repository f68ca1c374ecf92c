//! What the functions of the AWS shape are invoked with, and their configuration.

use std::sync::OnceLock;

use tintype_aws::api::Api;
use tintype_aws::config::Config;
use tintype_aws::environment::Authorizer;
use tintype_aws::event::{Body, SqsEvent, decode_key};
use tintype_edge::Access;
use tintype_model::{decode_component, encode_path};

use crate::edge::edge;

/// A message of a queue: what Lambda hands over, the body of one message, and the key in it.
pub fn queue_message(data: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<SqsEvent>(data) {
        for message in &event.records {
            assert!(message.receives() > 0);
            drop(Body::parse(&message.body));
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(Body::Records(records)) = Body::parse(text) {
        assert!(!records.is_empty());
    }
    if let Some(key) = decode_key(text) {
        assert_eq!(decode_component(&encode_path(&key)).as_ref(), Ok(&key));
    }
}

/// An invocation of the API's function.
pub fn gateway_event(data: &[u8]) {
    static APIS: OnceLock<[Api; 2]> = OnceLock::new();
    let Ok(payload) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    let apis = APIS.get_or_init(|| {
        [Authorizer::Iam, Authorizer::Jwt].map(|authorizer| {
            let public_url = "https://images.example".to_owned();
            Api::new(edge(Access::Gateway { public_url }, false), authorizer)
        })
    });
    for api in apis {
        if let Ok(answer) = crate::wait(api.answer(payload.clone())) {
            assert_ne!(answer.status_code, 500);
        }
    }
}

/// The file that is packaged with the functions.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(config) = Config::parse(text) {
        assert!(!config.recipe().hash().is_empty());
    }
}
