//! How MEGA seals files, their names and an account's session: AES-128 in counter mode with a MAC per chunk, keys and
//! names under AES alone, RSA by the plain power. Pure; the exchange is [`super::client`].
//!
//! Source of the rules: the white paper "MEGA Security" (chapters on file encryption and on log-in), and `megajs`, which
//! `tests/mega` holds this against.

use aes::Aes128;
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher,
};
use data_encoding::BASE64URL_NOPAD;
use num_bigint::BigUint;
use sha2::Sha512;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::MegaError;

/// Bytes of AES's block, and of a key.
pub(super) const BLOCK: usize = 16;
/// The first chunk, and by how much each is longer than the one before.
const CHUNK: usize = 128 * 1024;
/// No chunk is longer.
const LONGEST_CHUNK: usize = 1024 * 1024;
/// Rounds of PBKDF2 for an account of version 2.
const ROUNDS: u32 = 100_000;
/// Bytes of a session id inside what RSA opens.
const SESSION_ID: usize = 43;
/// What a file's attributes begin with.
const ATTRIBUTES: &[u8] = b"MEGA";

type Key = [u8; BLOCK];

/// What opens a file: 32 bytes, the second half of the link.
pub(super) struct FileKey {
    key: Zeroizing<Key>,
    nonce: [u8; 8],
    mac: [u8; 8],
}

impl FileKey {
    /// Reads it out of a link.
    pub(super) fn read(merged: &[u8; 32]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        for (place, byte) in key.iter_mut().enumerate() {
            *byte = merged[place] ^ merged[BLOCK + place];
        }
        let [mut nonce, mut mac] = [[0; 8]; 2];
        nonce.copy_from_slice(&merged[16..24]);
        mac.copy_from_slice(&merged[24..]);
        Self { key, nonce, mac }
    }

    /// As it stands in a link: the key is laid over nonce and MAC.
    pub(super) fn merged(&self) -> Zeroizing<[u8; 32]> {
        let mut merged = Zeroizing::new([0; 32]);
        merged[16..24].copy_from_slice(&self.nonce);
        merged[24..].copy_from_slice(&self.mac);
        for place in 0..BLOCK {
            merged[place] = self.key[place] ^ merged[BLOCK + place];
        }
        merged
    }
}

/// Seals a file under a fresh key and nonce.
pub(super) fn seal(content: &[u8], key: Zeroizing<Key>, nonce: [u8; 8]) -> (Vec<u8>, FileKey) {
    let mac = condensed(&key, nonce, content);
    let mut sealed = content.to_vec();
    counter(&key, nonce, &mut sealed);
    (sealed, FileKey { key, nonce, mac })
}

/// Opens a file.
///
/// # Errors
/// [`MegaError::Damaged`]: its MAC is another.
pub(super) fn open(key: &FileKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, MegaError> {
    let mut content = Zeroizing::new(sealed.to_vec());
    counter(&key.key, key.nonce, &mut content);
    let mac = condensed(&key.key, key.nonce, &content);
    bool::from(mac.ct_eq(&key.mac))
        .then_some(content)
        .ok_or(MegaError::Damaged)
}

fn counter(key: &Key, nonce: [u8; 8], bytes: &mut [u8]) {
    let mut start = [0; BLOCK];
    start[..8].copy_from_slice(&nonce);
    ctr::Ctr128BE::<Aes128>::new(&Array::from(*key), &Array::from(start)).apply_keystream(bytes);
}

/// The MAC of a file: CBC over each chunk, then over what the chunks gave, folded to eight bytes.
fn condensed(key: &Key, nonce: [u8; 8], content: &[u8]) -> [u8; 8] {
    let cipher = Aes128::new(&Array::from(*key));
    let mut start = [0; BLOCK];
    start[..8].copy_from_slice(&nonce);
    start[8..].copy_from_slice(&nonce);
    let mut whole = [0; BLOCK];
    for chunk in chunks(content) {
        let of_chunk = chunk.chunks(BLOCK).fold(start, |mac, block| mixed(&cipher, mac, block));
        whole = mixed(&cipher, whole, &of_chunk);
    }
    std::array::from_fn(|place| {
        let (half, byte) = (place / 4 * 8, place % 4);
        whole[half + byte] ^ whole[half + 4 + byte]
    })
}

/// A shorter block counts as if zeroes followed.
fn mixed(cipher: &Aes128, mut mac: [u8; BLOCK], block: &[u8]) -> [u8; BLOCK] {
    for (byte, mixed_in) in mac.iter_mut().zip(block) {
        *byte ^= mixed_in;
    }
    let mut mac = Array::from(mac);
    cipher.encrypt_block(&mut mac);
    mac.into()
}

/// The chunks that have a MAC each.
fn chunks(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = content;
    let mut length = 0;
    std::iter::from_fn(move || {
        length = LONGEST_CHUNK.min(length + CHUNK);
        let (chunk, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// The name of a file, sealed under its key.
pub(super) fn attributes(key: &FileKey, name: &str) -> Vec<u8> {
    let mut plain = ATTRIBUTES.to_vec();
    plain.extend_from_slice(serde_json::json!({ "n": name }).to_string().as_bytes());
    plain.resize(plain.len().next_multiple_of(BLOCK), 0);
    let mut cipher = cbc::Encryptor::<Aes128>::new(&Array::from(*key.key), &Array::default());
    for block in plain.chunks_exact_mut(BLOCK) {
        let mut sealed = block_of(block);
        cipher.encrypt_block(&mut sealed);
        block.copy_from_slice(&sealed);
    }
    plain
}

/// Whether the attributes open with the key: whether the key is the file's.
pub(super) fn opens(key: &FileKey, attributes: &[u8]) -> bool {
    let mut cipher = cbc::Decryptor::<Aes128>::new(&Array::from(*key.key), &Array::default());
    let Some(first) = attributes.get(..BLOCK) else {
        return false;
    };
    let mut first = block_of(first);
    cipher.decrypt_block(&mut first);
    first.starts_with(ATTRIBUTES)
}

fn block_of(bytes: &[u8]) -> aes::Block {
    let mut block = aes::Block::default();
    block.copy_from_slice(bytes);
    block
}

/// Seals keys, block by block: so MEGA keeps them.
pub(super) fn wrap(key: &Key, secret: &[u8; 32]) -> [u8; 32] {
    let cipher = Aes128::new(&Array::from(*key));
    let mut wrapped = [0; 32];
    for (into, from) in wrapped.chunks_exact_mut(BLOCK).zip(secret.chunks_exact(BLOCK)) {
        let mut block = block_of(from);
        cipher.encrypt_block(&mut block);
        into.copy_from_slice(&block);
    }
    wrapped
}

fn unwrap(key: &Key, mut wrapped: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let cipher = Aes128::new(&Array::from(*key));
    for bytes in wrapped.chunks_exact_mut(BLOCK) {
        let mut block = block_of(bytes);
        cipher.decrypt_block(&mut block);
        bytes.copy_from_slice(&block);
    }
    wrapped
}

/// What a password and the account's salt give.
pub(super) struct PasswordKey(Zeroizing<[u8; 32]>);

impl PasswordKey {
    /// Takes some hundredths of a second: call it where waiting is allowed.
    pub(super) fn derive(password: &str, salt: &[u8]) -> Self {
        let mut derived = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), salt, ROUNDS, &mut *derived);
        Self(derived)
    }

    /// What is shown to the server instead of the password.
    pub(super) fn proof(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0[BLOCK..])
    }

    /// Opens the account: its master key, and the id of the session that the server sealed with its public key.
    ///
    /// # Errors
    /// [`MegaError::Unexpected`] when what the server gave is no account of this password.
    pub(super) fn open(&self, account: &SealedAccount) -> Result<(Zeroizing<Key>, String), MegaError> {
        let mut own = Zeroizing::new([0; BLOCK]);
        own.copy_from_slice(&self.0[..BLOCK]);
        let opened = unwrap(&own, Zeroizing::new(account.master_key.clone()));
        let mut master = Zeroizing::new([0; BLOCK]);
        if opened.len() != BLOCK {
            return Err(MegaError::Unexpected("a master key"));
        }
        master.copy_from_slice(&opened);
        let private = unwrap(&master, Zeroizing::new(account.private_key.clone()));
        let id = session_id(&private, &account.session_id).ok_or(MegaError::Unexpected("a session"))?;
        Ok((master, id))
    }
}

/// What the server says at log-in.
pub(super) struct SealedAccount {
    /// Sealed with the password.
    pub(super) master_key: Vec<u8>,
    /// Sealed with the master key: p, q, d and u.
    pub(super) private_key: Vec<u8>,
    /// Sealed with the public key.
    pub(super) session_id: Vec<u8>,
}

/// The power by `num-bigint` is not made to hide how long it takes; it opens one number per log-in, of the operator's own
/// account.
fn session_id(private_key: &[u8], sealed: &[u8]) -> Option<String> {
    let (p, rest) = number(private_key)?;
    let (q, rest) = number(rest)?;
    let (d, _) = number(rest)?;
    let (sealed, _) = number(sealed)?;
    let modulus = p * q;
    if modulus.bits() == 0 {
        return None;
    }
    let opened = sealed.modpow(&d, &modulus).to_bytes_be();
    Some(BASE64URL_NOPAD.encode(opened.get(..SESSION_ID)?))
}

/// A number as OpenPGP writes it (RFC 4880, section 3.2): its length in bits, then its bytes.
fn number(bytes: &[u8]) -> Option<(BigUint, &[u8])> {
    let (bits, rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*bits)).div_ceil(8);
    let (digits, rest) = rest.split_at_checked(length)?;
    Some((BigUint::from_bytes_be(digits), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chunks_grow_to_a_mebibyte() {
        let content = vec![0; 6 * 1024 * 1024];
        let lengths: Vec<usize> = chunks(&content).map(|chunk| chunk.len() / 1024).collect();
        assert_eq!(lengths, [128, 256, 384, 512, 640, 768, 896, 1024, 1024, 512]);
        assert_eq!(chunks(&content[..CHUNK]).count(), 1, "no empty chunk behind the last");
    }

    #[test]
    fn a_changed_file_does_not_open() {
        let (mut sealed, key) = seal(b"creds", Zeroizing::new([7; BLOCK]), [9; 8]);
        assert_eq!(open(&key, &sealed).unwrap().as_slice(), b"creds");
        sealed[0] ^= 1;
        assert!(matches!(open(&key, &sealed), Err(MegaError::Damaged)));
    }

    #[test]
    fn a_name_opens_with_the_files_key_alone() {
        let (_, key) = seal(b"creds", Zeroizing::new([7; BLOCK]), [9; 8]);
        let (_, other) = seal(b"creds", Zeroizing::new([8; BLOCK]), [9; 8]);
        let sealed = attributes(&key, "creds.json");
        assert!(opens(&key, &sealed) && !opens(&other, &sealed));
        assert!(!opens(&key, b"short"));
    }

    #[test]
    fn numbers_that_end_too_early_are_none() {
        assert_eq!(number(&[0, 9, 1, 2, 3]), Some((BigUint::from(258_u32), &[3_u8][..])));
        for cut in [&[][..], &[0], &[0, 9, 1]] {
            assert_eq!(number(cut), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_with_the_key_of_the_link(content: Vec<u8>, key: [u8; 16], nonce: [u8; 8]) {
            let (sealed, key) = seal(&content, Zeroizing::new(key), nonce);
            let read = FileKey::read(&key.merged());
            let opened = open(&read, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), content.as_slice());
        }

        #[test]
        fn no_answer_of_a_server_is_a_panic(private: Vec<u8>, sealed: Vec<u8>) {
            session_id(&private, &sealed);
        }
    }
}
