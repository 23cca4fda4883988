package io.virtnvme.tools.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class BlackoutsTest {
  @Test
  void shouldGiveMeasuredValuesAsPercentiles() {
    final Blackouts blackouts = new Blackouts();
    for (int i = 100; i >= 1; i--) {
      blackouts.add(i * 10_000L);
    }
    assertEquals(0.5, blackouts.percentileMs(50));
    assertEquals(0.99, blackouts.percentileMs(99));
    assertEquals(1.0, blackouts.percentileMs(100));
  }

  @Test
  void shouldGiveTheWorstOfFewAsP99() {
    final Blackouts blackouts = new Blackouts();
    blackouts.add(700_000);
    blackouts.add(500_000);
    assertEquals(0.5, blackouts.percentileMs(50));
    assertEquals(0.7, blackouts.percentileMs(99));
    assertArrayEquals(new double[] {0.7, 0.5}, blackouts.allMs());
  }

  @Test
  void shouldBeZeroWithoutKills() {
    assertEquals(0, new Blackouts().percentileMs(50));
  }

  @Test
  void shouldDrawNothingOnlyForNothing() {
    assertEquals("█▁ █", Sparkline.of(1000, 1, 0, 1000));
    assertEquals("  ", Sparkline.of(0, 0));
  }
}
