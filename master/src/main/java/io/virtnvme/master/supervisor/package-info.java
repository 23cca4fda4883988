/**
 * The slaves' life cycle and what they serve: processes, seats, bdevs, controllers, adoption after
 * a master's death, and the control plane's answers. Everything belongs to the conductor thread
 * except where a class says otherwise; work on files runs on a thread of its own.
 */
package io.virtnvme.master.supervisor;
