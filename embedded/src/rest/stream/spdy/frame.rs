//! Frames of SPDY/3.1, as far as Kubernetes uses them. Pure: bytes in, frames out, and back.

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::dictionary;

/// The version of the protocol with the bit that marks control frames.
const CONTROL: u16 = 0x8003;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
/// The flag of the last frame of a stream.
const FIN: u8 = 1;
/// The bytes before the payload of a frame.
const HEAD: usize = 8;
/// A larger control frame is refused. Data comes in any size that fits.
const LONGEST_CONTROL: usize = 64 << 10;
/// Headers may not be larger when they are decompressed.
const LONGEST_HEADERS: usize = 64 << 10;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A stream with its headers begins; whether it ends at once.
    Open(u32, Vec<(String, String)>, bool),
    /// Bytes of a stream; whether they are the last.
    Data(u32, Bytes, bool),
    /// A stream is given up.
    Reset(u32),
    /// To be sent back.
    Ping(u32),
    /// Nothing that matters here.
    Other,
}

/// Reads frames.
pub(super) struct Reader {
    buffer: BytesMut,
    headers: Decompress,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            headers: Decompress::new(true),
        }
    }

    /// Where bytes that came are put.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next frame, once it is whole.
    ///
    /// # Errors
    /// The bytes make no sense.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, &'static str> {
        if self.buffer.len() < HEAD {
            return Ok(None);
        }
        let word = |at: usize| {
            let bytes = &self.buffer[at..at + 4];
            u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        let (first, second) = (word(0), word(4));
        let (flags, length) = ((second >> 24) as u8, (second & 0x00ff_ffff) as usize);
        let control = first >> 31 == 1;
        if control && (first >> 16) as u16 != CONTROL {
            return Err("not SPDY/3.1");
        }
        if control && length > LONGEST_CONTROL {
            return Err("a control frame is too long");
        }
        if self.buffer.len() < HEAD + length {
            self.buffer.reserve(HEAD + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let payload = self.buffer.split_to(length).freeze();
        let last = flags & FIN != 0;
        if control {
            self.control(first as u16, payload, last).map(Some)
        } else {
            Ok(Some(Frame::Data(first, payload, last)))
        }
    }

    fn control(
        &mut self,
        kind: u16,
        mut payload: Bytes,
        last: bool,
    ) -> Result<Frame, &'static str> {
        let short = "a control frame is too short";
        if payload.len() < 4 {
            return Err(short);
        }
        let id = payload.get_u32() & 0x7fff_ffff;
        match kind {
            SYN_STREAM => {
                // The stream it belongs to, its priority and an unused byte.
                if payload.len() < 6 {
                    return Err(short);
                }
                payload.advance(6);
                Ok(Frame::Open(id, self.headers(&payload)?, last))
            }
            RST_STREAM => Ok(Frame::Reset(id)),
            PING => Ok(Frame::Ping(id)),
            _ => Ok(Frame::Other),
        }
    }

    fn headers(&mut self, block: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
        let bytes = self.decompress(block)?;
        let mut rest = &bytes[..];
        let count = number(&mut rest)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((text(&mut rest)?, text(&mut rest)?));
        }
        Ok(headers)
    }

    fn decompress(&mut self, block: &[u8]) -> Result<Vec<u8>, &'static str> {
        let wrong = "headers cannot be decompressed";
        let mut result = Vec::with_capacity(LONGEST_HEADERS);
        let before = self.headers.total_in();
        let sync = FlushDecompress::Sync;
        let outcome = self.headers.decompress_vec(block, &mut result, sync);
        if let Err(error) = outcome {
            error.needs_dictionary().ok_or(wrong)?;
            let dictionary = dictionary::bytes();
            self.headers
                .set_dictionary(&dictionary)
                .map_err(|_| wrong)?;
            let read = (self.headers.total_in() - before) as usize;
            let rest = block.get(read..).ok_or(wrong)?;
            self.headers
                .decompress_vec(rest, &mut result, sync)
                .map_err(|_| wrong)?;
        }
        Ok(result)
    }
}

fn number(rest: &mut &[u8]) -> Result<u32, &'static str> {
    if rest.len() < 4 {
        return Err("headers are cut off");
    }
    Ok(rest.get_u32())
}

fn text(rest: &mut &[u8]) -> Result<String, &'static str> {
    let length = number(rest)? as usize;
    let bytes = rest.get(..length).ok_or("headers are cut off")?;
    let text = String::from_utf8_lossy(bytes).into_owned();
    *rest = &rest[length..];
    Ok(text)
}

/// Writes frames.
pub(super) struct Writer {
    headers: Compress,
    fresh: bool,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            headers: Compress::new(Compression::default(), true),
            fresh: true,
        }
    }

    /// Accepts a stream, without headers.
    ///
    /// # Errors
    /// The headers cannot be compressed.
    pub(super) fn reply(&mut self, id: u32) -> Result<Vec<u8>, &'static str> {
        let wrong = "headers cannot be compressed";
        if std::mem::take(&mut self.fresh) {
            let dictionary = dictionary::bytes();
            self.headers
                .set_dictionary(&dictionary)
                .map_err(|_| wrong)?;
        }
        let mut payload = Vec::with_capacity(256);
        payload.extend(id.to_be_bytes());
        let none = 0_u32.to_be_bytes();
        self.headers
            .compress_vec(&none, &mut payload, FlushCompress::Sync)
            .map_err(|_| wrong)?;
        Ok(control(SYN_REPLY, &payload))
    }
}

/// Sends a ping back.
pub(super) fn ping(id: u32) -> Vec<u8> {
    control(PING, &id.to_be_bytes())
}

/// The bytes before so many bytes of data; whether they are the last.
pub(super) fn data_head(id: u32, length: usize, last: bool) -> [u8; HEAD] {
    let second = (length as u32 & 0x00ff_ffff) | if last { u32::from(FIN) << 24 } else { 0 };
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&(id & 0x7fff_ffff).to_be_bytes());
    head[4..].copy_from_slice(&second.to_be_bytes());
    head
}

fn control(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.extend(CONTROL.to_be_bytes());
    frame.extend(kind.to_be_bytes());
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A compressed block of headers, as a client sends it.
    fn block(compress: &mut Compress, fresh: bool, headers: &[(&str, &str)]) -> Vec<u8> {
        if fresh {
            compress.set_dictionary(&dictionary::bytes()).unwrap();
        }
        let mut plain = (headers.len() as u32).to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend((text.len() as u32).to_be_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        let mut bytes = Vec::with_capacity(4096);
        compress
            .compress_vec(&plain, &mut bytes, FlushCompress::Sync)
            .unwrap();
        bytes
    }

    #[test]
    fn streams_begin_and_end_however_the_bytes_arrive() {
        let mut compress = Compress::new(Compression::default(), true);
        let mut bytes = Vec::new();
        for (id, kind) in [(1_u32, "error"), (3, "data")] {
            let mut payload = id.to_be_bytes().to_vec();
            payload.extend([0; 6]);
            payload.extend(block(&mut compress, id == 1, &[("streamtype", kind)]));
            bytes.extend(control(SYN_STREAM, &payload));
        }
        bytes.extend(data_head(3, 2, true));
        bytes.extend(b"ab");
        bytes.extend(ping(7));
        let mut reader = Reader::new();
        let mut frames = Vec::new();
        for byte in bytes {
            reader.buffer().extend_from_slice(&[byte]);
            frames.extend(reader.next().unwrap());
        }
        let header = |kind: &str| vec![("streamtype".to_owned(), kind.to_owned())];
        assert_eq!(
            frames,
            [
                Frame::Open(1, header("error"), false),
                Frame::Open(3, header("data"), false),
                Frame::Data(3, Bytes::from("ab"), true),
                Frame::Ping(7),
            ]
        );
    }

    #[test]
    fn a_reply_has_no_headers() {
        let mut writer = Writer::new();
        let mut reader = Reader::new();
        for id in [1, 3] {
            let reply = writer.reply(id).unwrap();
            assert_eq!(reader.headers(&reply[HEAD + 4..]).unwrap(), []);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0x80, 3, 0, 1, 0, 0, 0, 1, 0],
            &[0x80, 2, 0, 1, 0, 0, 0, 0],
        ] {
            let mut reader = Reader::new();
            reader.buffer().extend_from_slice(bytes);
            let outcome = reader.next();
            assert!(!matches!(outcome, Ok(Some(Frame::Open(..)))), "{outcome:?}");
        }
    }
}
