//! What starts exchanges with one provider endpoint.

use std::sync::Arc;

use llmgw_core::api::Api;
use tokio::runtime::Handle;

use crate::config::{ConfigError, UpstreamConfig};
use crate::endpoint::{Endpoint, ExchangeRequest};
use crate::exchange::Exchange;
use crate::pump;
use crate::shared::Shared;

/// One provider endpoint with its pooled client. Cheap to clone; clones share the pool.
///
/// The pool's connections live on the runtime that [`Upstream::start`] was given: use one runtime per upstream.
#[derive(Clone)]
pub struct Upstream {
    endpoint: Arc<Endpoint>,
}

impl Upstream {
    /// An endpoint and its client. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the config can't work: see [`ConfigError`].
    pub fn new(config: UpstreamConfig) -> Result<Self, ConfigError> {
        Ok(Self { endpoint: Arc::new(Endpoint::new(config)?) })
    }

    /// Whether there is a URL for requests of this API.
    #[must_use]
    pub fn speaks(&self, api: Api) -> bool {
        self.endpoint.way(api).is_some()
    }

    /// Send the request, as a task on `runtime`. Returns at once.
    #[must_use = "dropping an exchange aborts it"]
    pub fn start(&self, runtime: &Handle, mut request: ExchangeRequest) -> Exchange {
        let limits = self.endpoint.config.limits;
        request.context.secret = self.endpoint.secret.clone();
        let machine = request.api.machine(request.mode, request.context.clone(), limits);
        let shared = Arc::new(Shared::new(machine));
        let task = runtime.spawn(pump::supervise(Arc::clone(&self.endpoint), request, Arc::clone(&shared)));
        Exchange::new(shared, task.abort_handle())
    }
}
