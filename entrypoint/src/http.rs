//! As much of HTTP/1.1 as the socket of a container engine needs: one request for each connection,
//! read to its end or taken over as a plain stream.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An engine that says nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_mins(2);
/// More of an answer is not read.
const LONGEST_BODY: u64 = 16 << 20;
/// A line of an answer's head is not longer.
const LONGEST_LINE: u64 = 64 << 10;

/// An answer that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// Whether the engine did what it was asked for.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A request: method, path and body.
pub(crate) type Request<'a> = (&'a str, &'a str, &'a str);

/// Asks and reads the answer.
///
/// # Errors
/// The engine cannot be reached, or what it says is no answer.
pub(crate) fn ask(socket: &Path, request: Request<'_>) -> io::Result<Answer> {
    let stream = send(socket, request, "close")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    let mut body = Vec::new();
    if head.chunked {
        chunks(&mut reader, &mut body)?;
    } else {
        let length = head.length.unwrap_or(LONGEST_BODY).min(LONGEST_BODY);
        let read = reader.take(length).read_to_end(&mut body)? as u64;
        if head.length.is_some() && read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Answer {
        status: head.status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// Asks, and leaves the answer to be read, head and all, as it comes; it ends with the file.
///
/// # Errors
/// The engine cannot be reached.
pub(crate) fn ask_later(socket: &Path, request: Request<'_>) -> io::Result<File> {
    send(socket, request, "close").map(|stream| File::from(OwnedFd::from(stream)))
}

/// Asks for a stream: returns it with what has come of it already, or the answer that refuses it.
///
/// # Errors
/// The engine cannot be reached, or what it says is no answer.
pub(crate) fn take_over(
    socket: &Path,
    request: Request<'_>,
) -> io::Result<Result<(File, Vec<u8>), Answer>> {
    let stream = send(socket, request, "Upgrade\r\nUpgrade: tcp")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    if !matches!(head.status, 101 | 200) {
        let mut body = String::new();
        let length = head.length.unwrap_or(LONGEST_LINE).min(LONGEST_LINE);
        // What can't be read is not told.
        let _ = reader.take(length).read_to_string(&mut body);
        return Ok(Err(Answer {
            status: head.status,
            body,
        }));
    }
    let begin = reader.buffer().to_vec();
    let stream = reader.into_inner();
    stream.set_read_timeout(None)?;
    Ok(Ok((File::from(OwnedFd::from(stream)), begin)))
}

fn send(socket: &Path, request: Request<'_>, connection: &str) -> io::Result<UnixStream> {
    let (method, path, body) = request;
    let mut stream = UnixStream::connect(socket)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: {connection}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    Ok(stream)
}

/// What is needed of an answer's head.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
}

fn head(reader: &mut impl BufRead) -> io::Result<Head> {
    let first = line(reader)?;
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not an answer: {first:?}")))?;
    let mut head = Head {
        status,
        ..Head::default()
    };
    loop {
        let text = line(reader)?;
        if text.is_empty() {
            return Ok(head);
        }
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
}

/// Reads a body that comes in chunks.
fn chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let text = line(reader)?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::other(format!("not the size of a chunk: {text:?}")))?;
        if size == 0 {
            return Ok(());
        }
        if body.len() as u64 + size > LONGEST_BODY {
            return Err(io::Error::other("the answer is too long"));
        }
        let read = reader.take(size).read_to_end(body)?;
        if (read as u64) < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line(reader)?;
    }
}

/// The next line without its end.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Answers one request with a text; returns what was asked.
    fn served<T>(answer: &str, ask: impl FnOnce(&Path) -> T) -> (String, T) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let answer = answer.to_owned();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut asked = [0; 4096];
            let count = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..count]).into_owned()
        });
        let found = ask(&path);
        (server.join().unwrap(), found)
    }

    #[test]
    fn an_answer_is_read_whole_however_it_is_measured() {
        for (rest, body) in [
            ("Content-Length: 3\r\n\r\nabcd", "abc"),
            (
                "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
                "abc",
            ),
            ("\r\nabc", "abc"),
        ] {
            let text = format!("HTTP/1.1 404 Not Found\r\n{rest}");
            let (asked, answer) = served(&text, |path| ask(path, ("POST", "/x?y=1", "{}")));
            let answer = answer.unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (404, body));
            assert!(!answer.is_success());
            assert!(asked.starts_with("POST /x?y=1 HTTP/1.1\r\n"), "{asked}");
            assert!(asked.ends_with("\r\n\r\n{}"), "{asked}");
        }
    }

    #[test]
    fn an_answer_that_breaks_off_is_none() {
        for text in [
            "",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"Id\":",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "nonsense\r\n\r\n",
        ] {
            let (_, answer) = served(text, |path| ask(path, ("GET", "/", "")));
            assert!(answer.is_err(), "{text}: {answer:?}");
        }
    }

    #[test]
    fn a_stream_is_taken_over_with_what_has_come_of_it() {
        let text = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\nhello";
        let (_, taken) = served(text, |path| take_over(path, ("POST", "/", "")).unwrap());
        let (mut file, mut all) = taken.unwrap();
        file.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"hello");
        let text = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno";
        let (_, taken) = served(text, |path| take_over(path, ("POST", "/", "")).unwrap());
        let refused = taken.unwrap_err();
        assert_eq!((refused.status, refused.body.as_str()), (409, "no"));
    }
}
