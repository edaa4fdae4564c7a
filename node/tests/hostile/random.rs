//! Chance from a seed, and what it does to bytes.

/// A generator (SplitMix64): the same seed gives the same inputs on every machine.
pub struct Random(u64);

impl Random {
    /// The generator of input `nth` of a run.
    pub fn of(seed: u64, nth: u64) -> Random {
        let mut random = Random(seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// Once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn bytes(&mut self, longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1)).map(|_| self.byte()).collect()
    }

    pub fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }

    /// Damages bytes: some flipped, cut, doubled, put in or made extreme.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        const EXTREMES: [&[u8]; 9] = [
            &[0],
            &[0xff],
            &[0xfb],
            &[0xfc, 0xff, 0xff],
            &[0xfd, 0xff, 0xff, 0xff],
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0x7f],
            &[0, 0, 0, 0, 0, 0, 0, 0x80],
            &[0xff; 8],
        ];
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(7) {
                0 | 1 if at < bytes.len() => bytes[at] = self.byte(),
                2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                3 => bytes.truncate(at),
                4 => {
                    let end = at + self.below(bytes.len() + 1 - at);
                    let part = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, part);
                }
                5 => {
                    let extreme = *self.pick(&EXTREMES);
                    let end = (at + extreme.len()).min(bytes.len());
                    bytes.splice(at..end, extreme.iter().copied());
                }
                _ => {
                    let new = self.bytes(12);
                    bytes.splice(at..at, new);
                }
            }
        }
    }
}
