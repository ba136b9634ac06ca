/* Weights as oneDNN's primitives want them: see dnn_primitive.h. */
#include "tensor/cpu/dnn_primitive.h"

/* A copy of a parameter in the layout some primitives want. */
struct packed {
    struct packed *next;
    dnnl_memory_t memory; /* its layout; the handle is data */
    bool turned;          /* packed from the transposed matrix: the layout of a square one does not tell */
    uint64_t version;
    void *data;
};
typedef struct packed packed;

static layout layout_of(dnnl_memory_t m) {
    layout l;
    check(dnnl_memory_get_memory_desc(m, (void *) &l), "get_memory_desc");
    return l;
}

static void forget_packed(void *slot) { *(struct packed **) slot = NULL; }

/* From the type that the values have at hand, which oneDNN need not know. */
static void reorder_values(const tensor *w, plain_layout *plain, const void *problem, layout to, void *target) {
    scope_begin();
    const tensor *at_hand = w->param ? param_values(w->param) : w,
                 *v = at_hand->type == F32 || at_hand->type == BF16 || at_hand->type == I8 ? at_hand
                                                                                           : tensor_to_f32(at_hand);
    dnn_reorder(plain(problem, dnn_type(v->type)), v->data, to, target);
    if (w->param) param_packed(w->param, at_hand);
    scope_end();
}

void *dnn_pack(const tensor *w, plain_layout *plain, const void *problem, bool turned, layout wanted) {
    size_t size = dnnl_memory_desc_get_size(wanted);
    param *owner = w->param;
    if (!owner || owner->once) {
        void *data = alloc(size);
        reorder_values(w, plain, problem, wanted, data);
        return data;
    }
    packed *k = owner->packed;
    while (k && (k->turned != turned || !dnnl_memory_desc_equal(layout_of(k->memory), wanted))) k = k->next;
    if (!k) {
        scope *before = param_home_enter(owner);
        k = NEW(packed);
        k->data = alloc(size);
        k->turned = turned;
        check(dnnl_memory_create(&k->memory, wanted, dnn_engine(), k->data), "memory_create");
        defer(destroy_memory, k->memory);
        if (!owner->packed) defer(forget_packed, &owner->packed);
        param_home_leave(before);
        k->next = owner->packed;
        owner->packed = k;
    }
    if (k->version != owner->version) {
        reorder_values(w, plain, problem, wanted, k->data);
        k->version = owner->version;
    }
    return k->data;
}
