//! Serves the API of a directory: `serve DIRECTORY [ADDRESS]`. For trying clients against it.

use std::{env, error::Error, net::SocketAddr, path::PathBuf};

use axum::{Router, routing::get};
use diwan_embedded::{
    Api, BrowserAuth, Credentials, Hosts, Options, listen, serve, service, write_kubeconfig,
};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("usage: serve DIRECTORY [ADDRESS]")?);
    let address: SocketAddr = arguments
        .next()
        .as_deref()
        .unwrap_or("127.0.0.1:8080")
        .parse()?;
    let api = Api::open(Options::new(&directory))?;
    let credentials = Credentials::open(&directory, &[])?;
    let listener = listen(address, true).await?;
    let address = listener.local_addr()?;
    let kubeconfig = directory.join("kubeconfig");
    write_kubeconfig(&kubeconfig, &credentials, &format!("https://{address}"))?;
    let auth = BrowserAuth::open(&directory, address.port())?;
    let pages = auth.guard(Router::new().route("/", get(|| async { "the page" })));
    let url = format!("http://{address}/?token={}", auth.mint());
    eprintln!("page: {url}\nexport KUBECONFIG={}", kubeconfig.display());
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopped.cancel();
        }
    });
    serve(
        listener,
        service(api),
        credentials,
        pages,
        Hosts::new(address.ip(), &[]),
        stop,
    )
    .await;
    Ok(())
}
