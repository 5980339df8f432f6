//! Things under small numbers, and answers that are worked out once: what several threads share without waiting for each
//! other when they only look.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::{OnceLock, RwLock};

/// Things that lie in one block of a shelf.
const BLOCK: usize = 4096;
/// Blocks of a shelf: sixteen million things, more than fit in memory.
const BLOCKS: usize = 4096;
/// Parts of a memory, so that two threads seldom ask the same.
const PARTS: usize = 64;

/// A block, filled from its beginning.
type Block<F> = Box<[OnceLock<F>]>;

/// Things under numbers from 1. One is never moved nor taken away, so whoever has its number reads it without a lock.
#[derive(Debug)]
pub struct Shelf<F> {
    /// By what tells things apart: 128 bits of a hash, since the thing itself may be kilobytes. Of a million things the odds
    /// that two share one are below one in 10^26.
    numbers: RwLock<HashMap<u128, u32>>,
    blocks: Box<[OnceLock<Block<F>>]>,
}

impl<F> Shelf<F> {
    /// An empty one.
    pub fn new() -> Self {
        Shelf { numbers: RwLock::default(), blocks: (0..BLOCKS).map(|_| OnceLock::new()).collect() }
    }

    /// The number of a thing, which is put there if it is new.
    pub fn number_of<K: Hash>(&self, key: &K, thing: impl FnOnce() -> F) -> u32 {
        let key = wide_hash(key);
        if let Some(number) = self.numbers.read().unwrap().get(&key) {
            return *number;
        }
        let thing = thing();
        let mut numbers = self.numbers.write().unwrap();
        // Somebody else may have been faster.
        if let Some(number) = numbers.get(&key) {
            return *number;
        }
        let at = numbers.len();
        let block = self.blocks[at / BLOCK].get_or_init(|| (0..BLOCK).map(|_| OnceLock::new()).collect());
        assert!(block[at % BLOCK].set(thing).is_ok(), "numbers are given once");
        numbers.insert(key, at as u32 + 1);
        at as u32 + 1
    }

    /// The number of a thing that may have one.
    pub fn known<K: Hash>(&self, key: &K) -> Option<u32> {
        self.numbers.read().unwrap().get(&wide_hash(key)).copied()
    }

    /// A thing that has a number.
    pub fn get(&self, number: u32) -> &F {
        let at = number as usize - 1;
        self.blocks[at / BLOCK].get().unwrap()[at % BLOCK].get().unwrap()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.read().unwrap().len()
    }
}

/// Answers by what was asked.
#[derive(Debug)]
pub struct Memory<K, V>(Box<[RwLock<HashMap<K, V, QuickState>>]>);

impl<K: Eq + Hash, V: Copy> Memory<K, V> {
    /// An empty one.
    pub fn new() -> Self {
        Memory((0..PARTS).map(|_| RwLock::default()).collect())
    }

    fn part(&self, key: &K) -> &RwLock<HashMap<K, V, QuickState>> {
        // The low bits say where in its part something lies.
        &self.0[(QuickState::default().hash_one(key) >> 40) as usize % PARTS]
    }

    /// What was answered before.
    pub fn get(&self, key: &K) -> Option<V> {
        self.part(key).read().unwrap().get(key).copied()
    }

    /// Keeps an answer.
    pub fn put(&self, key: K, value: V) {
        self.part(&key).write().unwrap().insert(key, value);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|part| part.read().unwrap().len()).sum()
    }
}

type QuickState = BuildHasherDefault<Quick>;

/// A hash of small numbers, for tables that nobody attacks: each is multiplied into twice the width, and the halves meet.
#[derive(Debug, Default, Clone, Copy)]
pub struct Quick(u64);

impl Quick {
    fn take(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word ^ 0x243f_6a88_85a3_08d3) * 0x9e37_79b9_7f4a_7c15_u128;
        // The upper half of a product depends on all bits of both.
        self.0 = (wide as u64).rotate_left(29) ^ (wide >> 64) as u64;
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.take(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, word: u8) {
        self.take(u64::from(word));
    }
    fn write_u16(&mut self, word: u16) {
        self.take(u64::from(word));
    }
    fn write_u32(&mut self, word: u32) {
        self.take(u64::from(word));
    }
    fn write_u64(&mut self, word: u64) {
        self.take(word);
    }
    fn write_usize(&mut self, word: usize) {
        self.take(word as u64);
    }
    fn finish(&self) -> u64 {
        let mut last = *self;
        last.take(0xd6e8_feb8_6659_fd93);
        last.0
    }
}

/// 64 bits that tell small things apart, as the checker itself tells states apart.
pub fn hash_of(thing: &impl Hash) -> u64 {
    QuickState::default().hash_one(thing)
}

/// 128 bits that tell things apart of which there are many, or which are large.
pub fn wide_hash(thing: &impl Hash) -> u128 {
    let half = |salt: u64| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(salt);
        thing.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}
