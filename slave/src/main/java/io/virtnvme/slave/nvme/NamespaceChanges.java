package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.IdentifyController;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** What other namespaces make of a controller's state. */
final class NamespaceChanges {
  private NamespaceChanges() {}

  /**
   * The state with these namespaces; a driver that knows others is to be told of each difference.
   *
   * @param now in any order; throws {@link IllegalArgumentException} when an id comes twice or is
   *     out of range, or a namespace cannot be
   */
  static ControllerState apply(
      final ControllerState state, final List<Namespace> now, final int idMax) {
    final List<ShownNamespace> shown = new ArrayList<>(now.size());
    final List<Integer> changed = new ArrayList<>();
    int before = 0;
    for (final Namespace namespace :
        now.stream().sorted(Comparator.comparingInt(Namespace::id)).toList()) {
      final String wrong =
          namespace.id() > idMax
              ? "namespace id=" + namespace.id() + " max=" + idMax
              : namespace.id() == before ? "two namespaces with id " + before : namespace.wrong();
      if (wrong != null) {
        throw new IllegalArgumentException(wrong);
      }
      before = namespace.id();
      final ShownNamespace old = state.namespace(namespace.id());
      if (old == null || !old.namespace().equals(namespace)) {
        changed.add(namespace.id());
      }
      shown.add(new ShownNamespace(namespace, old == null ? 0 : old.errorRecovery()));
    }
    for (final ShownNamespace old : state.namespaces()) {
      if (shown.stream().noneMatch(namespace -> namespace.id() == old.id())) {
        changed.add(old.id());
      }
    }
    final ControllerState next = state.withNamespaces(List.copyOf(shown));
    if (changed.isEmpty() || next.queues().isEmpty()) {
      // A driver that has not enabled the controller yet has been told nothing.
      return next;
    }
    final EventState events = next.events().withChangedNamespaces(changed);
    final boolean isWanted =
        (next.features().asyncEvents() & IdentifyController.EVENT_NAMESPACE_CHANGED) != 0;
    return next.with(isWanted ? events.withEvent(EventType.NAMESPACES_CHANGED) : events);
  }
}
