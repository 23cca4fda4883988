package io.virtnvme.master.relay;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/** The values of {@link MasterCounter}. The conductor writes, any thread reads. */
public final class MasterCounters {
  private final Map<MasterCounter, AtomicLong> values = new EnumMap<>(MasterCounter.class);

  public MasterCounters() {
    for (final MasterCounter counter : MasterCounter.values()) {
      values.put(counter, new AtomicLong());
    }
  }

  public void increment(final MasterCounter counter) {
    values.get(counter).incrementAndGet();
  }

  public long get(final MasterCounter counter) {
    return values.get(counter).get();
  }

  /** All values by label, in the order of the enum. */
  public Map<String, Long> all() {
    final Map<String, Long> all = new LinkedHashMap<>();
    values.forEach((counter, value) -> all.put(counter.label(), value.get()));
    return all;
  }
}
