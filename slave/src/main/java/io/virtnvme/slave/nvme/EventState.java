package io.virtnvme.slave.nvme;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/**
 * Asynchronous events: requests and what there is to tell; immutable.
 *
 * <p>An event that has been told masks every event of its type until the host reads its log page.
 *
 * @param outstanding fetch numbers of the requests without a completion, oldest first
 * @param completed the request whose completion was decided last, or null
 * @param pending bits of events to be told, see {@link EventType}
 * @param masked bits of events that are not taken now
 * @param changedNamespaces ids for the log page, ascending
 */
record EventState(
    List<Long> outstanding,
    Completed completed,
    int pending,
    int masked,
    List<Integer> changedNamespaces) {
  static final EventState INITIAL = new EventState(List.of(), null, 0, 0, List.of());

  /** A request whose completion was decided; whether it is in the journal, the journal says. */
  record Completed(long fetchNumber, int result) {}

  boolean isOutstanding(final long fetchNumber) {
    return outstanding.contains(fetchNumber);
  }

  EventState withRequest(final long fetchNumber) {
    final List<Long> requests = new ArrayList<>(outstanding);
    requests.add(fetchNumber);
    return new EventState(List.copyOf(requests), completed, pending, masked, changedNamespaces);
  }

  /** Only those of the requests that are in a list. */
  EventState retaining(final List<Long> fetchNumbers) {
    return new EventState(
        outstanding.stream().filter(fetchNumbers::contains).toList(),
        completed,
        pending,
        masked,
        changedNamespaces);
  }

  /** Something happened; forgotten at once when its type is masked. */
  EventState withEvent(final EventType event) {
    return new EventState(
        outstanding, completed, pending | (event.bit() & ~masked), masked, changedNamespaces);
  }

  EventState withChangedNamespaces(final List<Integer> ids) {
    final TreeSet<Integer> all = new TreeSet<>(changedNamespaces);
    all.addAll(ids);
    return new EventState(outstanding, completed, pending, masked, List.copyOf(all));
  }

  /** The event to be told next, or null when there is none or nobody asks. */
  EventType next() {
    if (!outstanding.isEmpty()) {
      for (final EventType event : EventType.values()) {
        if ((pending & event.bit()) != 0) {
          return event;
        }
      }
    }
    return null;
  }

  /** The oldest request ends with this event. */
  EventState telling(final EventType event) {
    return new EventState(
        outstanding.subList(1, outstanding.size()).stream().toList(),
        new Completed(outstanding.get(0), event.result()),
        pending & ~event.typeBits(),
        masked | event.typeBits(),
        changedNamespaces);
  }

  /** The host has read a log page, and does not want its events retained. */
  EventState afterReading(final int logPage) {
    final int bits = EventType.bitsOf(logPage);
    return new EventState(
        outstanding,
        completed,
        pending & ~bits,
        masked & ~bits,
        (bits & EventType.NAMESPACES_CHANGED.bit()) != 0 ? List.of() : changedNamespaces);
  }
}
