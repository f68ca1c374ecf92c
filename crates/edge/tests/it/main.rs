//! The router over memory ports, from request to response.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod access;
mod admin;
mod api;
mod attempts;
mod damage;
mod dead;
mod delivery;
mod forgetting;
mod gateway;
mod headers;
mod health;
mod negotiation;
mod openapi;
mod paths;
mod site;
mod stand_ins;
mod unrecorded;
mod wire;
