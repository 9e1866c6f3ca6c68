//! Serves the built-in algorithms over gRPC without the rest of Diwan: `serve 127.0.0.1:6789`.
//! What `diwan suggestion` does, built in a fraction of the time.

use diwan_suggestion::{SuggestionService, serve};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:6789".to_owned());
    let listener = TcpListener::bind(&address).await?;
    serve(
        listener,
        SuggestionService::default(),
        std::future::pending(),
    )
    .await?;
    Ok(())
}
