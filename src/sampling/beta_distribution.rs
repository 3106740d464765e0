//! The beta distribution's quantiles, which beta sigmas are spaced by.

/// The value below which a share `q` of the beta distribution with parameters `a` and `b` lies.
///
/// Found by bisection on [`cumulative`] down to neighbouring numbers: no starting value can make it fail, and it runs a
/// few hundred times a picture at most.
#[must_use]
pub fn quantile(q: f64, a: f64, b: f64) -> f64 {
    if q <= 0.0 {
        return 0.0;
    }
    if q >= 1.0 {
        return 1.0;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if cumulative(middle, a, b) < q { low = middle } else { high = middle }
    }
}

/// The regularised incomplete beta function `I_x(a, b)`.
#[must_use]
pub fn cumulative(x: f64, a: f64, b: f64) -> f64 {
    // The fraction converges fast below the mean; above it the distribution is looked at from its other end.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - cumulative(1.0 - x, b, a);
    }
    if x <= 0.0 {
        return 0.0;
    }
    let log_front = a * x.ln() + b * (-x).ln_1p() - (ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b));
    log_front.exp() / a / continued_fraction(x, a, b)
}

/// The denominator of the continued fraction of the incomplete beta function (NIST Digital Library of Mathematical
/// Functions, 8.17.22), by the modified Lentz method.
fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let not_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for n in 1..1000 {
        let m = f64::from(n / 2);
        let coefficient = if n % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / not_zero(1.0 + coefficient * d);
        c = not_zero(1.0 + coefficient / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for positive arguments: Stirling's series, raised to where it converges.
fn ln_gamma(x: f64) -> f64 {
    const RAISED: f64 = 16.0;
    // Bernoulli numbers: B(2k) / (2k (2k - 1)), k from 1.
    const SERIES: [f64; 7] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0, 1.0 / 156.0];
    let (mut shifted, mut product) = (x, 1.0);
    while shifted < RAISED {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse = 1.0 / shifted;
    let series = SERIES.iter().rev().fold(0.0, |sum, term| sum * inverse * inverse + term) * inverse;
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_the_gamma_function() {
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-14);
        assert!(ln_gamma(1.0).abs() < 1e-14 && ln_gamma(2.0).abs() < 1e-14);
        assert!((ln_gamma(11.0) - 3_628_800.0_f64.ln()).abs() < 1e-13);
    }

    #[test]
    fn closed_forms_of_the_distribution() {
        for x in [1e-9, 0.1, 0.5, 0.77, 0.999] {
            // I_x(1, b) = 1 - (1 - x)^b, I_x(a, 1) = x^a, I_x(1/2, 1/2) = 2/pi asin(sqrt(x)).
            assert!((cumulative(x, 1.0, 3.0) - (1.0 - (1.0 - x).powi(3))).abs() < 1e-13);
            assert!((cumulative(x, 2.0, 1.0) - x * x).abs() < 1e-13);
            let arcsine = std::f64::consts::FRAC_2_PI * x.sqrt().asin();
            assert!((cumulative(x, 0.5, 0.5) - arcsine).abs() < 1e-13);
        }
    }

    #[test]
    fn quantiles_invert_the_distribution() {
        for i in 0..=100 {
            let q = f64::from(i) / 100.0;
            let x = quantile(q, 0.6, 0.6);
            assert!((cumulative(x, 0.6, 0.6) - q).abs() < 1e-12, "{q}: {x}");
            assert!((x + quantile(1.0 - q, 0.6, 0.6) - 1.0).abs() < 1e-12, "{q}: not symmetric");
        }
    }
}
