//! The dictionary that both ends of SPDY/3 compress headers with (section 2.6.10.1 of the draft): words
//! with their lengths, and a text.

/// The words; an underscore stands for a blank.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding \
    accept-language accept-ranges age allow authorization cache-control connection \
    content-base content-encoding content-language content-length content-location \
    content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location \
    max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after \
    server te trailer transfer-encoding upgrade user-agent vary via warning \
    www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
    keep-alive origin";

/// The text.
const TEXT: &str = "10010120120220520630030230330430530630740240540640740840941041141241341441541641750250\
     4505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Reques\
     t401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemente\
     d503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon\
     , Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,app\
     lication/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzi\
     p,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The dictionary's bytes.
pub(super) fn bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in WORDS.split(' ') {
        bytes.extend((word.len() as u32).to_be_bytes());
        bytes.extend(word.replace('_', " ").into_bytes());
    }
    bytes.extend_from_slice(TEXT.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_dictionary_is_the_one_of_the_draft() {
        let bytes = super::bytes();
        assert_eq!(bytes.len(), 1423);
        // The checksum that compressors put into their header.
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in bytes {
            a = (a + u32::from(byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!(b << 16 | a, 0xe3c6_a7c2);
    }
}
