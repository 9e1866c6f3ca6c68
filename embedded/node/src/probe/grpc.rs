//! The health check of gRPC, without a generated client: one call with one small message.

use bytes::Bytes;
use k8s_openapi::api::core::v1::GRPCAction;

use super::connect;

/// The status of a service that serves.
const SERVING: u64 = 1;

/// Asks a service whether it serves.
///
/// # Errors
/// Nobody answers, or it does not serve.
pub(super) async fn check(action: &GRPCAction, host: &str) -> Result<(), String> {
    let service = action.service.as_deref().unwrap_or_default();
    let port = u16::try_from(action.port).map_err(|_| format!("invalid port {}", action.port))?;
    let stream = connect(host, port).await.map_err(|error| {
        format!("timeout: failed to connect service \"{host}:{port}\": {error}")
    })?;
    let answer = call(stream, &format!("{host}:{port}"), service)
        .await
        .map_err(|error| format!("error: health rpc probe failed: {error}"))?;
    match status(&answer) {
        SERVING => Ok(()),
        other => {
            let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
            let name = names.get(other as usize).unwrap_or(&"UNKNOWN");
            Err(format!("service unhealthy (responded with {name:?})"))
        }
    }
}

/// Calls `grpc.health.v1.Health/Check` and returns the message that comes back.
async fn call(
    stream: tokio::net::TcpStream,
    authority: &str,
    service: &str,
) -> Result<Vec<u8>, String> {
    let text = |error: h2::Error| error.to_string();
    let (client, connection) = h2::client::handshake(stream).await.map_err(text)?;
    // Ends with the client.
    let connection = tokio::spawn(connection);
    let _ends = tokio_util::task::AbortOnDropHandle::new(connection);
    let request = http::Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.36")
        .body(())
        .map_err(|error| error.to_string())?;
    let mut client = client.ready().await.map_err(text)?;
    let (response, mut sender) = client.send_request(request, false).map_err(text)?;
    sender
        .send_data(Bytes::from(question(service)), true)
        .map_err(text)?;
    let response = response.await.map_err(text)?;
    let refused = |headers: &http::HeaderMap| {
        let code = headers.get("grpc-status")?.to_str().ok()?;
        let message = headers.get("grpc-message").and_then(|m| m.to_str().ok());
        (code != "0").then(|| format!("status {code}: {}", message.unwrap_or_default()))
    };
    if let Some(error) = refused(response.headers()) {
        return Err(error);
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(text)?;
        // A window that is not given back is no loss for so small an answer.
        let _ = body.flow_control().release_capacity(chunk.len());
        bytes.extend_from_slice(&chunk);
    }
    match body
        .trailers()
        .await
        .map_err(text)?
        .as_ref()
        .and_then(refused)
    {
        Some(error) => Err(error),
        None => Ok(bytes),
    }
}

/// A `HealthCheckRequest` in its frame. Names of services are shorter than 128 bytes or cut.
fn question(service: &str) -> Vec<u8> {
    let name = &service.as_bytes()[..service.len().min(127)];
    let mut message = Vec::new();
    if !name.is_empty() {
        message.extend([0x0a, name.len() as u8]);
        message.extend_from_slice(name);
    }
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// The status in a framed `HealthCheckResponse`: its first field, unknown when it is left out.
fn status(frame: &[u8]) -> u64 {
    match frame.get(5..) {
        Some([0x08, status, ..]) => u64::from(*status),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), SERVING);
        assert_eq!(status(&[0, 0, 0, 0, 0]), 0);
    }
}
