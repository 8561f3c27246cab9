"""The recurrence with its gradient, the chain rule through c_t, from programs for parts of the batch."""

import functools

import tensorflow as tf

from keras_lstm_gates.gates import Intervention
from keras_lstm_gates.recurrence.arguments import Arguments
from keras_lstm_gates.recurrence.compiled.autodiff import differentiable, hide, known_zero, second_order_of
from keras_lstm_gates.recurrence.compiled.batch_parts import Batch, parts
from keras_lstm_gates.recurrence.compiled.loops import Carry, History, acts_on_gates, recurrent_kernel_gradient
from keras_lstm_gates.recurrence.compiled.programs import Chunks, WholeSequence
from keras_lstm_gates.recurrence.interventions import mapped
from keras_lstm_gates.recurrence.portable import portable


def chain(arguments, outputs, last_only, chunked, training):
    """The `outputs` in order, (batch, time, units) each, or the last c and h; `recurrence` checks the arguments."""
    # TensorFlow's functions do not know a Keras variable, though it counts as a tensor: read it here.
    z, h0, c0, R = map(tf.convert_to_tensor, arguments[:4])
    batch = Batch(h0.shape[0], tf.shape(h0)[0])
    padded = batch.padded if isinstance(batch.padded, int) else None
    # One chain for each batch and units: within one only the number of steps may vary, and be relaxed to unknown by
    # `reduce_retracing`. A batch relaxed to unknown would be split where it should not, and of an intervention an axis
    # of 1, which stands for all of it.
    act = arguments.interventions
    extents = tuple((name, *(tuple(size == 1 for size in one.shape) for one in pair)) for name, pair in act.items())
    masked = arguments.mask is not None
    return _chain(outputs, last_only, chunked, training, padded, h0.shape[1], extents, masked)(
        batch, arguments._replace(z=z, h0=h0, c0=c0, R=R)
    )


@functools.lru_cache(maxsize=256)
def _chain(outputs, last_only, chunked, training, padded_batch, units, extents, masked):
    names = [name for name, *_ in extents]
    return _Chain(outputs, last_only, Chunks() if chunked else WholeSequence(), training, names, masked)


class _Chain:
    def __init__(self, outputs, last_only, programs, training, steered, masked):
        self.outputs, self.last_only, self.programs, self.steered = outputs, last_only, programs, steered
        # No step reads the gates of another, unless it is masked and repeats them. So an intervention acts on the gates
        # that are given out after the loop, and the loop has as many kernels as without one.
        self.field_of_gates = "before" if acts_on_gates(steered) and not masked else "a"
        needed = {self.field_of_gates if name in "ifgo" else name for name in outputs} if not last_only else set()
        self.of_gradient = ("before" if acts_on_gates(steered) else "a", "c", "h")
        self.complete = tuple(name for name in History._fields if name in needed or name in self.of_gradient)
        self.stored = self.complete if training else tuple(name for name in self.complete if name in needed)
        # As graphs, so that the parts run side by side in eager mode too. Without `partial` TensorFlow would count the
        # first graphs of several chains together, and warn that one function is traced again and again.
        self._forward, self._backward, self._second_order_eagerly = (
            tf.function(functools.partial(function), autograph=False, reduce_retracing=True)
            for function in (self._forward, self._backward, self._second_order)
        )

    def __call__(self, batch, arguments):
        mask = None if arguments.mask is None else batch.pad(tf.transpose(arguments.mask), 1)
        dropout = batch.pad(arguments.dropout, 1)

        def written_out(z, h0, c0, R, *numbers):
            time = tf.shape(z)[0]
            padded = [hide(one) if one.shape[1] == 1 else batch.pad(hide(one), 1) for one in numbers]
            hidden = Arguments(
                batch.pad(hide(z), 1),
                batch.pad(hide(h0), 0),
                batch.pad(hide(c0), 0),
                hide(R),
                mask,
                dropout,
                self._by_name(padded),
            )
            values, histories = self._forward(hidden, self.stored)

            def slopes(*d_values):
                complete = histories if self.stored == self.complete else self._forward(hidden, self.complete)[1]
                d_used = {name: batch.pad(hide(d), 0) for name, d in zip(self.outputs, d_values) if not known_zero(d)}
                d_inputs = self._backward(hidden._replace(z=None), complete, d_used, time)
                d_z, d_h0, d_c0, d_R, *d_numbers = d_inputs
                cut = [batch.cut(d, axis) for d, axis in ((d_z, 1), (d_h0, 0), (d_c0, 0))]
                cut_numbers = [d if one.shape[1] == 1 else batch.cut(d, 1) for d, one in zip(d_numbers, numbers)]
                # `_backward` is traced once for several shapes, and does not tell the sizes that are known here.
                inputs = (z, h0, c0, R, *numbers)
                return [tf.ensure_shape(d, one.shape) for d, one in zip([*cut, d_R, *cut_numbers], inputs)]

            return [batch.cut(value, 0) for value in values], slopes

        def second_order(inputs, d_values, d_slopes):
            # XLA, outside, does not compile it as a function of its own.
            function = self._second_order_eagerly if tf.executing_eagerly() else self._second_order
            return function(inputs, arguments.mask, arguments.dropout, d_values, d_slopes)

        numbers = [one for pair in arguments.interventions.values() for one in pair]
        return differentiable(written_out, second_order)(*arguments[:4], *numbers)

    def _by_name(self, numbers):
        """{name: `Intervention`} of their numbers in a row."""
        return {name: Intervention(*numbers[2 * at : 2 * at + 2]) for at, name in enumerate(self.steered)}

    def _forward(self, arguments, stored):
        """The output values, and the `stored` histories of each part."""
        z, h0, c0, R, *others = arguments
        histories, last, acts = [], [], []
        for rows in parts(h0):
            gates = () if arguments.mask is None else tf.zeros_like(z[0, rows])
            carry = Carry(c0[rows], h0[rows], gates)
            first = tf.constant(rows.start) if isinstance(rows.start, int) else rows.start
            own_mask, own_dropout, act = _of_rows(rows, *others)
            history, carry = self.programs.forward(z, first, carry, R, own_mask, own_dropout, act, stored)
            histories.append(history)
            last.append(carry)
            acts.append(act)
        if self.last_only:
            return [tf.concat(of_parts, 0) for of_parts in (list(zip(*last))[:2])], histories
        values, units = [], h0.shape[1]
        for name in self.outputs:
            field, begin = (self.field_of_gates, units * "ifgo".index(name)) if name in "ifgo" else (name, 0)
            late = [act.get(name) if field == "before" else None for act in acts]
            of_parts = [history[field][: tf.shape(z)[0]] for history in histories]
            values.append(self.programs.batch_major(of_parts, begin, begin + units, late))
        return values, histories

    def _backward(self, arguments, histories, d_outputs, time):
        """dz, dh0, dc0 and dR, and those of each scale and shift, given the cotangents of the outputs by name."""
        _, h0, c0, R, mask, *others = arguments
        d_last, d_outputs = (d_outputs, {}) if self.last_only else ({}, d_outputs)
        d_last = Carry(d_last.get("c", tf.zeros_like(c0)), d_last.get("h", tf.zeros_like(h0)))
        repeats = mask is not None and set("ifgo") & set(d_outputs)
        d_z, d_first, dR, d_act = [], [], [], []
        for rows, history in zip(parts(h0), histories):
            activated, c, h = (history[name] for name in self.of_gradient)
            kept = History(None, c, None, activated) if "before" in history else History(activated, c, None)
            c_before = tf.concat([c0[rows][None], c[:-1]], 0)
            own_mask, own_dropout, act = _of_rows(rows, mask, *others)
            d_own = {name: tf.transpose(value[rows], (1, 0, 2)) for name, value in d_outputs.items()}
            d_carry = Carry(d_last.c[rows], d_last.h[rows], tf.zeros_like(activated[0]) if repeats else ())
            dz, d_history, d_carry = self.programs.backward(
                kept, c_before, R, own_mask, own_dropout, act, d_own, d_carry, time
            )
            d_z.append(dz)
            d_first.append(d_carry)
            dR.append(recurrent_kernel_gradient(tf.concat([h0[rows][None], h[:-1]], 0), dz, own_dropout))
            if act:
                gradients = self.programs.intervention_gradients(kept, c_before, own_mask, act, d_history, d_own)
                d_act.append([one for name in self.steered for one in gradients[name]])
        dc0, dh0 = (tf.concat([getattr(d_carry, name) for d_carry in d_first], 0) for name in "ch")
        numbers = [one for name in self.steered for one in arguments.interventions[name]]
        d_numbers = [_of_parts(d, number, time) for d, number in zip(zip(*d_act), numbers)]
        return tf.concat(d_z, 1)[:time], dh0, dc0, tf.add_n(dR), *d_numbers

    def _second_order(self, inputs, mask, dropout, d_values, d_slopes):
        """Of further orders, which are rare: those of the portable path."""

        def operations(z, h0, c0, R, *numbers):
            again = Arguments(z, h0, c0, R, mask, dropout, self._by_name(numbers))
            gates = portable(again, last_only=self.last_only, outputs=self.outputs)
            return [getattr(gates, name) for name in self.outputs]

        return second_order_of(operations, inputs, d_values, d_slopes)


def _of_rows(rows, mask, dropout, act):
    return (
        None if mask is None else mask[:, rows],
        None if dropout is None else dropout[:, rows],
        mapped(act, lambda number: number if number.shape[1] == 1 else number[:, rows]),
    )


def _of_parts(gradients, number, time):
    """The gradient at a number from those of the parts of the batch: of one that they share, the sum."""
    gradient = tf.add_n(gradients) if number.shape[1] == 1 else tf.concat(gradients, 1)
    return gradient if number.shape[0] == 1 else gradient[:time]
