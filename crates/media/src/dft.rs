//! The fast Fourier transform, as far as correlation needs it.

/// A complex number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Complex {
    pub(crate) re: f64,
    pub(crate) im: f64,
}

impl Complex {
    const fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

/// For every lag from `-(left.len() - 1)` to `right.len() - 1` the sum of `left[n] * right[n +
/// lag]`; the first element is the least lag.
pub(crate) fn correlate(left: &[i16], right: &[i16]) -> Vec<f64> {
    if left.is_empty() || right.is_empty() {
        return Vec::new();
    }
    let lags = left.len() + right.len() - 1;
    let size = lags.next_power_of_two();
    // Both are real, so one transform holds both: one as real, the other as imaginary part.
    let mut both = vec![Complex::default(); size];
    for (slot, sample) in both.iter_mut().zip(left) {
        slot.re = f64::from(*sample);
    }
    for (slot, sample) in both.iter_mut().zip(right) {
        slot.im = f64::from(*sample);
    }
    transform(&mut both);
    let mut product = vec![Complex::default(); size];
    for (at, slot) in product.iter_mut().enumerate() {
        let (a, b) = (both[at], both[(size - at) % size]);
        let left = Complex { re: (a.re + b.re) / 2.0, im: (a.im - b.im) / 2.0 };
        let right = Complex { re: (a.im + b.im) / 2.0, im: (b.re - a.re) / 2.0 };
        let conjugate = Complex { re: left.re, im: -left.im };
        // Conjugated once more, so that the same transform goes back.
        let value = conjugate.times(right);
        *slot = Complex { re: value.re, im: -value.im };
    }
    transform(&mut product);
    let scale = 1.0 / size as f64;
    let negative = left.len() - 1;
    (0..lags).map(|at| product[(size + at - negative) % size].re * scale).collect()
}

/// In place, for a length that is a power of two.
fn transform(values: &mut [Complex]) {
    let size = values.len();
    let bits = size.trailing_zeros();
    for at in 0..size {
        let mirrored = if bits == 0 { at } else { at.reverse_bits() >> (usize::BITS - bits) };
        if at < mirrored {
            values.swap(at, mirrored);
        }
    }
    let roots: Vec<Complex> = (0..size / 2)
        .map(|at| {
            let (sin, cos) = (-std::f64::consts::TAU * at as f64 / size as f64).sin_cos();
            Complex { re: cos, im: sin }
        })
        .collect();
    let mut half = 1;
    while half < size {
        for block in values.chunks_exact_mut(half * 2) {
            let (low, high) = block.split_at_mut(half);
            for (at, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let turned = high.times(roots[at * (size / half / 2)]);
                let sum = Complex { re: low.re + turned.re, im: low.im + turned.im };
                *high = Complex { re: low.re - turned.re, im: low.im - turned.im };
                *low = sum;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn directly(left: &[i16], right: &[i16]) -> Vec<f64> {
        (1 - left.len() as isize..right.len() as isize)
            .map(|lag| {
                let product = |(n, sample): (usize, &i16)| {
                    let other = right.get((n as isize + lag) as usize).copied().unwrap_or(0);
                    f64::from(*sample) * f64::from(other)
                };
                left.iter().enumerate().map(product).sum()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn correlation_by_transform_is_that_by_definition(
            left in prop::collection::vec(any::<i16>(), 1..40),
            right in prop::collection::vec(any::<i16>(), 1..60),
        ) {
            let fast = correlate(&left, &right);
            let slow = directly(&left, &right);
            prop_assert_eq!(fast.len(), slow.len());
            for (fast, slow) in fast.iter().zip(&slow) {
                prop_assert!((fast - slow).abs() < 1.0, "{} {}", fast, slow);
            }
        }
    }

    #[test]
    fn nothing_correlates_with_nothing() {
        assert!(correlate(&[], &[1]).is_empty());
        assert!(correlate(&[1], &[]).is_empty());
        assert_eq!(correlate(&[3], &[5]), [15.0]);
    }
}
