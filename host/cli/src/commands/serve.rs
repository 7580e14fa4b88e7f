//! `gleaner serve`: a run as `queue run` is one, with the server beside it.
//!
//! Must never begin to work before it is known that the server can answer.

use std::sync::Arc;

use gleaner_serve::{Ledger, Parts, bind};
use tokio::sync::watch;
use toml::Value;

use crate::args::Serve;
use crate::commands::reload::{Reload, Told};
use crate::commands::run::{self, Beside, Server, Task};
use crate::config::Layers;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::generations;

/// Lays the flags over the configuration.
pub(crate) fn lay_flags(args: &Serve, layers: &mut Layers) {
    run::lay_flags(&args.caps, layers);
    if let Some(listen) = args.listen {
        layers.set(&["serve", "listen"], Value::String(listen.to_string()), "--listen");
    }
}

/// Works and answers until told to stop.
pub(crate) async fn serve(context: &Context) -> Result<Exit, Failed> {
    let config = context.loaded.config.serve.clone();
    let token = generations::serve_token(&context.loaded.config).map_err(Failed::configuration)?;
    let (renew, token) = watch::channel(token);
    let (sources, reload) = Reload::begin(context).await?;
    let library = context.library()?;
    let ledger = Ledger::new(context.clock());
    let (tell, in_force) = watch::channel(Arc::new(generations::in_force(&context.loaded)));
    let parts = Parts {
        config,
        token,
        // A handle of its own: it looks on as any other process would, and takes no reader from the run.
        library: context.library()?,
        clock: context.clock(),
        live: Arc::clone(&sources.live),
        in_force,
        ledger: Arc::clone(&ledger),
    };
    let bound = bind(parts).await?;
    let reload = reload.telling(Told { ledger: Arc::clone(&ledger), in_force: tell, token: renew });
    gleaner_telemetry::metrics().want();
    let beside = Beside { server: Some(Server { bound, ledger }), ..Beside::default() };
    run::work(context, library, sources, reload, Task::Serve, beside).await
}
