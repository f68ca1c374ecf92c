//! Routes, and what each of them needs of a request. The needs are declared where the route is.

use axum::routing::MethodRouter;

/// The kinds of routes, which differ in the headers of their answers and in the name that metrics have for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Pictures.
    Delivery,
    /// The JSON API.
    Api,
    /// The pages.
    Admin,
    /// Health checks.
    Health,
    /// Metrics.
    Metrics,
    /// Every other path.
    Other,
}

impl Class {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Api => "api",
            Self::Admin => "admin",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Other => "other",
        }
    }
}

/// The callers that a route is for, where this server decides that by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    /// Everybody, by whatever name they call this server.
    Everybody,
    /// Everybody who calls this server by one of its names, and pages of others only to read.
    Visitors,
    /// Visitors who hold the admin token or a session.
    Admins,
}

/// The needs of a route: who may ask, and what a request may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The kind of the route.
    pub class: Class,
    /// The callers that it is for.
    pub callers: Callers,
    /// The largest body that a handler reads, in bytes; 0 where none reads any.
    pub body_bytes: usize,
}

impl Needs {
    /// The needs of a route whose handlers read no body.
    pub(crate) const fn new(class: Class, callers: Callers) -> Self {
        Self {
            class,
            callers,
            body_bytes: 0,
        }
    }

    /// The same with a body of at most `body_bytes`.
    pub(crate) const fn with_body(self, body_bytes: usize) -> Self {
        Self { body_bytes, ..self }
    }
}

/// A path with its needs and its handlers.
#[derive(Debug)]
pub(crate) struct Route<S> {
    /// The path, in the router's syntax.
    pub path: &'static str,
    /// The needs, checked before any handler runs.
    pub needs: Needs,
    /// A handler for each method.
    pub handlers: MethodRouter<S>,
}
