package io.virtnvme.slave.benchmark;

import java.util.Random;

/** Numbers 0..count-1 round and round, in an order as a ring has it after some time in use. */
final class RequestNumbers {
  private final int[] numbers;
  private int position;

  /**
   * A new round.
   *
   * @param count a power of two
   */
  RequestNumbers(final int count) {
    numbers = new int[count];
    final Random random = new Random(1);
    for (int i = 0; i < count; i++) {
      final int other = random.nextInt(i + 1);
      numbers[i] = numbers[other];
      numbers[other] = i;
    }
  }

  int next() {
    final int number = numbers[position];
    position = position + 1 & numbers.length - 1;
    return number;
  }
}
